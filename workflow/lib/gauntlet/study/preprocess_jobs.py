"""The jobs of steps before a model, for the table of jobs. Standard library only."""

from collections.abc import Iterator

from gauntlet.study import job_needs, paths, preprocess
from gauntlet.study.job_kind import JobKind, Need
from gauntlet.study.job_name import JobName, Names
from gauntlet.study.job_needs import Config
from gauntlet.study.specs import Run, Spec, figure_spec, ordered

RUN = Run._fields


def crafted(config: Config, names: Names) -> Iterator[JobName]:
    """Give the attack on training images that a step is fitted on, if it needs one."""
    attack = preprocess.crafted_attack(config, names["preprocess"])
    if attack is not None:
        own = {name: names[name] for name in RUN}
        yield JobName("craft_examples", own | {"attack": attack, "part": "train"})


def fitted(config: Config, names: Names) -> Iterator[JobName]:
    """Give the job that fits a step, if it is fitted."""
    if preprocess.fact(config, names["preprocess"], "FITTED"):
        yield JobName("fit_preprocess", {name: names[name] for name in preprocess.NAMES})


def shown(config: Config, names: Names) -> Iterator[JobName]:
    """Give the attacks on the model alone whose examples are shown to it behind a step."""
    own = {name: names[name] for name in RUN}
    for attack in preprocess.shown_attacks(config, names["study"]):
        part = {"attack": attack, "part": preprocess.PART}
        yield JobName("craft_examples", own | part)


def all_naive(config: Config, names: Names) -> Iterator[JobName]:
    """Give the naive numbers of all steps of a study, in the order of its table."""
    return _of_all("preprocess_examples", config, names)


def all_adaptive(config: Config, names: Names) -> Iterator[JobName]:
    """Give the adaptive attacks through all steps of a study, in the order of its table."""
    return _of_all("attack_preprocess", config, names)


def published(config: Config, names: Names) -> Iterator[JobName]:
    """Give the job that publishes a study's table of steps."""
    yield JobName("publish_preprocess", {"study": names["study"]})


def _figure_spec(config: Config, study: str) -> Spec:
    return ordered(figure_spec(config, study) | {"figure": "steps"})


def _of_all(rule: str, config: Config, names: Names) -> Iterator[JobName]:
    for run, step in preprocess.stepped_runs(config, names["study"]):
        own = {name: str(value) for name, value in run.items()}
        yield JobName(rule, own | {"preprocess": step, "study": names["study"]})


MODEL = {
    "source": Need(("download_data",), job_needs.source),
    "split": Need(("split_data",), job_needs.split),
    "weights": Need(("train_model", "import_model"), job_needs.model),
}
STEP = MODEL | {"step": Need(("fit_preprocess",), fitted)}
ATTACK = ("craft_examples",)
NAMES = ("study", *preprocess.NAMES)

JOBS: dict[str, JobKind] = {
    "fit_preprocess": JobKind(
        preprocess.fit_spec,
        preprocess.NAMES,
        paths.STEP,
        "fit",
        MODEL | {"crafted": Need(ATTACK, crafted)},
    ),
    "preprocess_examples": JobKind(
        preprocess.naive_spec,
        NAMES,
        paths.STEPPED,
        "naive",
        STEP | {"examples": Need(ATTACK, shown)},
    ),
    "attack_preprocess": JobKind(preprocess.adaptive_spec, NAMES, paths.STEPPED, "adaptive", STEP),
    "plot_steps": JobKind(
        _figure_spec,
        ("study",),
        paths.STUDY,
        "figures/steps",
        {"rows": Need(("publish_preprocess",), published)},
        script="plot_figure",
    ),
    "publish_preprocess": JobKind(
        preprocess.table_spec,
        ("study",),
        paths.STUDY,
        "preprocess",
        {
            "naive": Need(("preprocess_examples",), all_naive),
            "adaptive": Need(("attack_preprocess",), all_adaptive),
        },
    ),
}
