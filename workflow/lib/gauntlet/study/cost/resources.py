"""How much memory and time a job asks for, and which job comes first. Standard library only.

All is computed from the study: data set, network, attack, defense. A job requests a bound with a
margin, doubled with every attempt; it decides no result.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gauntlet.study.audit_gate import RERUN_KIND
from gauntlet.study.cost.dataset_sizes import DatasetSizes, dataset_sizes
from gauntlet.study.cost.model_flops import Cost, cost_of
from gauntlet.study.cost.rates import MODELS, Context, RuntimeModel, network_of, precision_of
from gauntlet.study.cost.work import Work, work_of
from gauntlet.study.defenses import needed_crafted, needed_defenses
from gauntlet.study.job_needs import JobName
from gauntlet.study.job_table import RUN_NAMES, spec_of
from gauntlet.study.search_specs import at_highest, largest_spec, rounds_left
from gauntlet.study.specs import Spec

TORCH, PLAIN, CUDA = 700, 500, 4000  # MB of a process that has imported PyTorch, pandas, or CUDA
GRAIN, LEAST = 500, 1000  # MB that memory is rounded up to, and asked for at least
MARGIN = 1.5  # of memory
PATIENCE = 3  # times the predicted seconds
START, SHORTEST, ROUND = 5, 10, 5  # minutes: for starting, asked for at least, rounded up to
MB, FLOAT = 2**20, 4
ROW = 400  # bytes of a ledger's row, read as numbers and words
STATES = 7  # copies of weights: gradient, two moments, average, best, last, and themselves
LAYERS = 3  # how many times over a pass holds what its layers give
BOUNDS = 1000  # MB that linear bounds take, as many at a time as that allows
HELD = 4  # copies of what an attack makes: by pool, joined, saved, judged
PLAIN_RULES = (
    *("collect_results", "download_data", "download_weights", "evaluate_robustness", "gate"),
    *("complete_study", "pass_gate", "publish_preprocess", "publish_tables", "split_data"),
    *("choose_trial", "compare_reference", "propose_trials", "verify_reference"),
)
SEEDLESS = ("scatteritem", "seed", "trial")  # names on which a job's size does not depend


class Size(NamedTuple):
    """What a job is predicted to need: MB of memory, and seconds of its own."""

    memory: float
    seconds: float


class Sizes:
    """Sizes of a configuration's jobs; jobs that differ only by seed or shard share one."""

    def __init__(self, config: Mapping[str, Any]):
        self.config, self.runtimes = dict(config), RuntimeModel()
        self._known: dict[tuple, Size] = {}
        self._chains: dict[tuple, float] = {}

    def memory(self, rule: str, names: Mapping[str, str], attempt: int = 1) -> int:
        """Give the MB that a job asks for."""
        wanted = max(MARGIN * self.of(rule, names).memory, LEAST)
        return math.ceil(wanted / GRAIN) * GRAIN * 2 ** (attempt - 1)

    def minutes(self, rule: str, names: Mapping[str, str], attempt: int = 1) -> int:
        """Give the minutes that a job asks for."""
        wanted = START + PATIENCE * self.of(rule, names).seconds / 60
        return max(math.ceil(wanted / ROUND) * ROUND, SHORTEST) * 2 ** (attempt - 1)

    def priority(self, rule: str, names: Mapping[str, str]) -> int:
        """Rank a job by the seconds of the longest chain that begins with it."""
        own = self.of(rule, names).seconds
        if rule == "train_model":
            own += self._behind(_run(names))
        elif rule == "run_trial":
            own *= rounds_left(self.config, names["search"], names["trial"])
        elif names.get("part") == "train":
            own = max((own, *self._trainings(_run(names))))
        return math.ceil(own)

    def of(self, rule: str, names: Mapping[str, str]) -> Size:
        """Size a job by its rule and the names in its wildcards."""
        key = (rule, *((name, names[name]) for name in names if name not in SEEDLESS))
        if key not in self._known:
            self._known[key] = self._sized(rule, dict(names))
        return self._known[key]

    def _sized(self, rule: str, names: dict[str, str]) -> Size:
        spec, sizes = self.spec(rule, names), self.dataset(self.dataset_name(names))
        work = work_of(rule, spec, sizes)
        context = self.context(rule, spec, names)
        if rule == "rerun_attack":  # most have nothing to do; a bound has to be that of the others
            work = work._replace(rule="craft_examples", kind=RERUN_KIND)
        return Size(self._megabytes(rule, spec, work, sizes), self.runtimes.seconds(work, context))

    def spec(self, rule: str, names: Mapping[str, str]) -> Spec:
        """Give a job's specification; of a search the largest that it can try, or find."""
        if rule == "run_trial":
            return largest_spec(self.config, names["search"])
        spec = spec_of(self.config, JobName(rule, names))
        if rule == "train_model" and "search" in spec:
            search = self.config["defenses"][names["defense"]]["from_search"]
            return at_highest(self.config, search, spec)
        return spec

    def dataset_name(self, names: Mapping[str, str]) -> str | None:
        """Name a job's data set, if it has one."""
        if "trial" in names:
            return self.config["searches"][names["search"]]["dataset"]
        return names.get("dataset")

    def dataset(self, dataset: str | None) -> DatasetSizes | None:
        """Give the sizes of a data set; of none, none."""
        return None if dataset is None else dataset_sizes(self.config["datasets"][dataset])

    def context(self, rule: str, spec: Spec, names: Mapping[str, str]) -> Context:
        """Say what a job's rate depends on."""
        defense = names.get("defense") if rule not in MODELS else None
        kind = self.config["defenses"].get(defense, {}).get("kind", defense or "")
        if "study" in names:
            kind = ""
        device = spec.get("device", "cpu")
        others = (network_of(spec), device, precision_of(rule, spec), spec.get("threads", 1))
        return Context(kind, *others)

    def _megabytes(self, rule: str, spec: Spec, work: Work, sizes: DatasetSizes | None) -> float:
        if rule in PLAIN_RULES or sizes is None:
            base = PLAIN if rule in PLAIN_RULES else TORCH
            values = work.pixels or (sizes.pixels if sizes else 0)
            each = 2 * values if rule == "download_data" else ROW
            return base + work.rows * each / MB
        on_gpu = spec.get("device") == "cuda"
        values = _images_held(spec, sizes) * sizes.pixels
        teacher = _teacher(spec, sizes)
        weights = work.cost.parameters * STATES + teacher.parameters
        between = work.cost.values + teacher.values
        passing = 0 if on_gpu else between * _together(spec) * LAYERS
        base = (CUDA if on_gpu else TORCH) + (BOUNDS if rule == "certify_robustness" else 0)
        processes = spec.get("training", {}).get("devices", 1)
        return processes * (base + FLOAT * (values + weights + passing) / MB)

    def _behind(self, run: dict[str, str]) -> float:
        """Give the seconds of the longest job, or chain of trainings, behind a training."""
        key = ("behind", *run.items())
        if key not in self._chains:
            self._chains[key] = max((*self._attacks(run), *self._trainings(run)), default=0.0)
        return self._chains[key]

    def _attacks(self, run: dict[str, str]) -> Iterator[float]:
        for lists in self.config["studies"].values():
            if run["defense"] in lists["defenses"] and run["model"] in lists["models"]:
                for attack in lists["attacks"]:
                    yield self.of(
                        "craft_examples", run | {"attack": attack, "part": "test"}
                    ).seconds

    def _trainings(self, run: dict[str, str]) -> Iterator[float]:
        """Give the seconds of each chain of trainings behind one, on the same architecture."""
        for name in self.config["defenses"]:
            if run["defense"] in needed_defenses(self.config, name):
                later = run | {"defense": name}
                chain = self.of("train_model", later).seconds + self._behind(later)
                for source, attack in needed_crafted(self.config, name):
                    if source.defense == run["defense"]:
                        made = run | {"attack": attack, "part": "train"}
                        chain += self.of("craft_examples", made).seconds
                yield chain


def _run(names: Mapping[str, str]) -> dict[str, str]:
    """Give the names of a run, whatever its seed."""
    return {name: names[name] for name in RUN_NAMES} | {"seed": "0"}


def _images_held(spec: Spec, sizes: DatasetSizes) -> float:
    """Count the images, clean and attacked, that a job holds at once."""
    if "training" in spec:
        return 3 * (sizes.train + sizes.validation)
    if "attacks" in spec and "preprocess" in spec:
        sets = sum(2 * len(one["points"]) for one in spec["attacks"])
        return sizes.test * (1 + sets)
    if "preprocess" in spec and "part" not in spec:
        return 3 * sizes.train + sizes.validation
    points = spec.get("points") or spec.get("threats") or spec.get("certificate") or 1
    made = points if isinstance(points, int) else len(points)
    made *= 1 + min(spec.get("loss_draws", 1), 1)
    count = getattr(sizes, spec.get("part", "test"))
    extra = sizes.train if "checks" in spec else 0
    return count * (2 + HELD * made) + extra


def _teacher(spec: Spec, sizes: DatasetSizes) -> Cost:
    """Give the cost of the network that teaches a training; of none, nothing."""
    taught = spec["defense"].get("teacher") if "training" in spec else None
    return cost_of(taught["model"], sizes.shape, sizes.classes) if taught else Cost()


def _together(spec: Spec) -> int:
    """Count the images that pass through the network at once."""
    return max(spec.get("batch", 1), spec.get("training", {}).get("batch", 1))
