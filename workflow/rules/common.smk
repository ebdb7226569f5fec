"""Validation, wildcard constraints, and helpers for specs, code, inputs and targets; no rules.

Wildcards and `config` are read here only. Nothing here imports PyTorch.
"""

import atexit
import gc
import json
import os
import sys
from functools import cache, lru_cache
from pathlib import Path

# Planning makes millions of objects that stay: looking among them for garbage takes a tenth of it.
gc.set_threshold(200_000, 50, 50)
HOME = Path(workflow.basedir)
sys.path.insert(0, str(HOME / "workflow" / "lib"))

from snakemake.exceptions import WorkflowError

from gauntlet.study import resolve as meaning
from gauntlet.study import audit_gate, certificates, models as config_models, code_hash
from gauntlet.runtime.cluster import node
from gauntlet.runtime import parent_watch
from gauntlet.runtime import provenance, worker as warm
from gauntlet.study import schema, specs as spec, specs_models
from gauntlet.study.matrix import AS_GIVEN, OWN
from gauntlet.core.errors import GauntletError
from gauntlet.study.paths import ATTACK, AUDIT, CERTIFICATE, CHECK, DATA, EVALUATION, FIGURES, GIVEN
from gauntlet.study.paths import RUN, STUDY, TRANSFER, WEIGHTS

NAME = "[a-z][a-z0-9_]*"
TRAINED = f"(?!{AS_GIVEN}/){NAME}"


wildcard_constraints:
    dataset=NAME,
    model=NAME,
    defense=NAME,
    source=NAME,
    attack=NAME,
    certificate=NAME,
    study=NAME,
    part="train|validation|test",
    seed="[0-9]+",


try:
    SETTINGS = schema.complete(config, HOME / "workflow" / "schemas" / "config.schema.yaml")
    if told := config_models.missing_weights(SETTINGS):
        raise GauntletError("\n".join(told))
except GauntletError as error:
    raise WorkflowError(f"The configuration cannot be used.\n{error}") from None

parent_watch.announce()
os.environ.update(
    GAUNTLET_MIRRORS=json.dumps(SETTINGS["mirrors"]),
    GAUNTLET_CHECKPOINT_MINUTES=str(SETTINGS["compute"]["checkpoint_minutes"]),
)
GPUS = int(spec.device_kind(SETTINGS) == "cuda")  # per job; a profile limits how many in all
THREADS = SETTINGS["compute"]["threads"]
WORKER = []


scattergather:
    craft=SETTINGS["compute"]["shards"],


# As the config says, or a profile's or the command line's set-scatter.
SHARDS = workflow._scatter["craft"]


def require_whole_tables():
    """Refuse to call a study done whose tables or figures are not what was written."""
    for study in SETTINGS["run"]:
        folder = Path(STUDY.format(study=study))
        records = [
            *folder.glob(f"*{provenance.ENDING}"),
            *folder.glob(f"figures/*{provenance.ENDING}"),
        ]
        for told in provenance.damaged(records).values():
            raise WorkflowError(told)


if workflow.is_main_process:
    require_whole_tables()


def script_path(name):
    """Give a stage's script."""
    return str(HOME / "workflow" / "scripts" / f"{name}.py")


def start():
    """Start the warm worker for jobs on this machine, and show an estimate beside the bars."""
    if workflow.is_main_process:
        WORKER.append(warm.start())
        if workflow.non_local_exec:
            node.answer_for_sacct(HOME / "profiles" / "slurm" / "no_accounting")
    for handler in workflow.logger_manager.get_log_handlers():
        if hasattr(handler, "progress"):
            from rich.progress import TimeRemainingColumn

            handler.progress.speed_estimate_period = 1e6
            handler.progress.columns += (TimeRemainingColumn(),)


def stop_worker():
    """End the warm worker."""
    while WORKER:
        warm.stop(WORKER.pop())


if workflow.remote_exec:
    # A job of several tasks is done by a process that hands them on one by one.
    WORKER.append(
        node.settle_on_node("--executor" in sys.argv and "--local-groupid" in sys.argv)
    )
    atexit.register(stop_worker)


@cache
def code_of(stage, plugins):
    """Hash a stage's script with all it imports and the plug-ins that its spec names."""
    return code_hash.code_hash(Path(script_path(stage)), plugins)


def specified(stage, make, *names):
    """Give a rule's two params: its spec from `make`, and the hash of the code that reads it."""

    @lru_cache(maxsize=1)  # both are asked for one job after the other
    def made(*words):
        return make(SETTINGS, **dict(zip(names, words, strict=True)))

    def spec_of(wildcards):
        return made(*(getattr(wildcards, name) for name in names))

    def code(wildcards):
        return code_of(stage, tuple(spec.plugins(spec_of(wildcards))))

    return {"spec": spec_of, "code": code}


RUN_NAMES = ("dataset", "model", "defense", "seed")


def run_folder(run):
    """Give the folder of one trained model."""
    return RUN.format(**run._asdict())


def data_inputs():
    """Give the files that hold a data set and its split."""
    return {name: DATA + file for name, file in DATA_FILES.items()}


DATA_FILES = {
    "images": "images.npy",
    "labels": "labels.npy",
    "meta": "data.json",
    "split": "split.json",
}


def source_files(wildcards):
    """Give the user's own files that a data set is read from, if there are any."""
    path = Path(SETTINGS["datasets"][wildcards.dataset].get("path") or os.devnull)
    if path.is_dir():
        return sorted(str(file) for file in path.rglob("*") if file.is_file())
    return [str(path)] if path.is_file() else []


def weights_name(defense):
    """Name the weights of a defense that are attacked, as its selection says."""
    if defense == AS_GIVEN:
        return "best.pt"
    settings = SETTINGS["defenses"][defense]
    return settings.get("selection", SETTINGS["training"]["selection"]) + ".pt"


def attacked_weights(wildcards):
    """Give the weights file of the run that the wildcards name."""
    return RUN.format(**{k: getattr(wildcards, k) for k in RUN_NAMES}) + weights_name(
        wildcards.defense
    )


def given_weights(wildcards):
    """Give the file of an external model, from the disk or as downloaded: a list of one or none."""
    model = SETTINGS["models"][wildcards.model]
    path = config_models.local_weights(model)
    if path is None and model["weights"] != OWN:
        path = WEIGHTS.format(model=wildcards.model) + "weights"
    return [path] if path else []


def train_devices(wildcards):
    """Give the number of devices, or of processes on a CPU, that share a training."""
    settings = SETTINGS["defenses"][wildcards.defense]
    return settings.get("devices", SETTINGS["training"]["devices"])


def train_threads(wildcards):
    """Give the cores that a training uses: `threads` for each of its processes."""
    return THREADS * train_devices(wildcards)


def train_gpus(wildcards):
    """Give the GPUs that a training uses."""
    return GPUS * train_devices(wildcards)


def start_weights(wildcards):
    """Give the weights that a training starts from: a list of one file or none."""
    source = meaning.init_source(SETTINGS, wildcards.defense)
    if source is None:
        return []
    run = spec.Run(wildcards.dataset, wildcards.model, source, wildcards.seed)
    return [run_folder(run) + weights_name(source)]


def crafted_examples(wildcards):
    """Give the example files that a training needs: a list of one file or none."""
    needed = meaning.needed_crafted(SETTINGS, wildcards.defense)
    if needed is None:
        return []
    source, attack, part = needed
    run = spec.Run(wildcards.dataset, wildcards.model, source, wildcards.seed)
    return [run_folder(run) + f"attacks/{attack}/{part}/draws.npy"]


def source_draws(wildcards):
    """Give the examples that were made against a transfer's source."""
    run = spec.Run(wildcards.dataset, wildcards.model, wildcards.source, wildcards.seed)
    return run_folder(run) + f"attacks/{wildcards.attack}/test/draws.npy"


def study_runs(wildcards):
    """List a study's runs."""
    return spec.runs(SETTINGS, wildcards.study)


def run_files(pattern):
    """Give an input function: one file per run of the study, below the run's folder."""
    return lambda wildcards: [run_folder(run) + pattern for run in study_runs(wildcards)]


def run_ledgers(wildcards):
    """Give the ledgers of one run in a study, in the order of the study's attacks."""
    attacks = SETTINGS["studies"][wildcards.study]["attacks"]
    folder = attacked_weights(wildcards).rpartition("/")[0]
    return [f"{folder}/attacks/{attack}/test/ledger.csv" for attack in attacks]


def certificate_ledger(wildcards, certificate):
    """Give the ledger of a certificate of the run that the wildcards name."""
    folder = attacked_weights(wildcards).rpartition("/")[0]
    return f"{folder}/certificates/{certificate}/{certificates.PART}/ledger.csv"


def run_certificates(wildcards):
    """Give the certificates of one run in a study, in the order of the study's list."""
    names = SETTINGS["studies"][wildcards.study]["certificates"]
    return [certificate_ledger(wildcards, name) for name in names]


def sparing_certificates(wildcards):
    """Give the certificates whose images an attack leaves out."""
    run = [getattr(wildcards, name) for name in RUN_NAMES[:-1]] + [int(wildcards.seed)]
    names = certificates.sparing(SETTINGS, *run, wildcards.attack, wildcards.part)
    return [certificate_ledger(wildcards, name) for name in names]


def gathered(file):
    """Name a file of every shard of an attack; the other wildcards stay."""
    folder = ATTACK.replace("{", "{{").replace("}", "}}")
    return gather.craft(f"{folder}shards/{{scatteritem}}/{file}")


def run_checks(wildcards):
    """Give the verdicts on the attacks of a study, in their order."""
    attacks = SETTINGS["studies"][wildcards.study]["attacks"]
    return [CHECK.format(attack=attack) + "check.json" for attack in attacks]


def run_transfers(wildcards):
    """Give the ledgers of the examples that a study shows to one run from another."""
    folder = attacked_weights(wildcards).rpartition("/")[0]
    sets = spec.transfer_sets(SETTINGS, wildcards.study, wildcards.defense)
    return [f"{folder}/transfer/{source}/{attack}/ledger.csv" for source, attack in sets]


def run_audits(wildcards):
    """Give the audit of one run in a study: a list of one file or none."""
    audited = audit_gate.checks_of(SETTINGS, wildcards.study)
    return [f"{AUDIT}audit.json".format(**dict(wildcards))] if audited else []


def run_reruns(wildcards):
    """Give the ledger of the attack that goes around what an audit found: a list of one or none."""
    wanted = audit_gate.reruns(SETTINGS, wildcards.study)
    return [f"{AUDIT}rerun/ledger.csv".format(**dict(wildcards))] if wanted else []


def gate_targets(studies):
    """Give what says that the gates of some studies are passed."""
    gated = [study for study in studies if audit_gate.gate_spec(SETTINGS, study)["demands"]]
    return [STUDY.format(study=study) + "gate.passed" for study in gated]


def required_gates(wildcards):
    """Give the gates of the studies under `run`; a sentence if nothing is required of them."""
    gates = gate_targets(SETTINGS["run"])
    if not gates:
        raise WorkflowError(
            f"requirements fit no model of the studies under run ({', '.join(SETTINGS['run'])}); "
            "allowed is a gate for models that something is required of."
        )
    return gates


def study_tables(wildcards):
    """Give the evaluation of every run of a study."""
    return [
        EVALUATION.format(study=wildcards.study, **run._asdict()) + ".csv"
        for run in study_runs(wildcards)
    ]


def study_targets(study):
    """Give the tables, figures and gate of a study, all but its passing of the gate."""
    tables = ("summary.csv", "summary.md", "summary.tex", "timings.csv", "robustness.csv")
    tables += ("certificates.csv",)
    figures = [f"figures/{name}.{kind}" for name in FIGURES for kind in ("png", "svg")]
    gate = ("gate.json", "gate.md") if gate_targets([study]) else ()
    return [STUDY.format(study=study) + name for name in (*tables, *figures, *gate)]


def all_targets():
    """Give all that is made of every study that is to be run."""
    made = [path for study in SETTINGS["run"] for path in study_targets(study)]
    return made + gate_targets(SETTINGS["run"])


def study_records(wildcards):
    """Give the evaluation record of every run of a study."""
    return [path.removesuffix(".csv") + ".json" for path in study_tables(wildcards)]


def study_data(file):
    """Give an input function: one file of every data set of a study."""

    def files(wildcards):
        names = SETTINGS["studies"][wildcards.study]["datasets"]
        return [DATA.format(dataset=name) + file for name in names]

    return files


def figure_files(name, category):
    """Give a figure's outputs: PNG for the report, SVG beside it."""
    path = STUDY + f"figures/{name}"
    labels = {"study": "{study}", "figure": name}
    shown = report(f"{path}.png", caption=f"../report/{name}.rst", category=category, labels=labels)
    return {"png": shown, "svg": f"{path}.svg", "provenance": f"{path}.provenance.json"}


def shown_attack(study):
    """Choose the attack whose examples a study shows: the longest one with a single eps."""

    def length(attack):
        points = meaning.attack_points(SETTINGS["attacks"][attack])
        passes = points[0].get("steps", 1) * points[0].get("restarts", 1)
        return ("eps" in points[0], len(points) == 1, passes)

    return max(SETTINGS["studies"][study]["attacks"], key=length)


def shown_files(file):
    """Give an input function: a file of the shown attack, for each model of the first seed."""

    def files(wildcards):
        seed = study_runs(wildcards)[0].seed
        shown = shown_attack(wildcards.study)
        return [
            run_folder(run) + f"attacks/{shown}/test/{file}"
            for run in study_runs(wildcards)
            if run.seed == seed
        ]

    return files


# Which rule feeds which; a test holds this against what Snakemake itself finds.
RULE_EDGES = [
    ["download_data", "split_data"],
    ["split_data", "train_model"],
    ["split_data", "import_model"],
    ["download_weights", "import_model"],
    ["import_model", "craft_examples"],
    ["import_model", "evaluate_robustness"],
    ["train_model", "train_model"],
    ["train_model", "craft_examples"],
    ["train_model", "transfer_examples"],
    ["craft_examples", "transfer_examples"],
    ["craft_examples", "train_model"],
    ["train_model", "certify_robustness"],
    ["import_model", "certify_robustness"],
    ["certify_robustness", "craft_examples"],
    ["certify_robustness", "evaluate_robustness"],
    ["check_attacks", "evaluate_robustness"],
    ["craft_examples", "evaluate_robustness"],
    ["transfer_examples", "evaluate_robustness"],
    ["train_model", "evaluate_robustness"],
    ["craft_examples", "audit_model"],
    ["transfer_examples", "audit_model"],
    ["train_model", "audit_model"],
    ["audit_model", "rerun_attack"],
    ["train_model", "rerun_attack"],
    ["audit_model", "evaluate_robustness"],
    ["rerun_attack", "evaluate_robustness"],
    ["evaluate_robustness", "collect_results"],
    ["collect_results", "gate"],
    ["gate", "pass_gate"],
    ["collect_results", "publish_tables"],
    ["train_model", "publish_tables"],
    ["evaluate_robustness", "plot_classes"],
    ["evaluate_robustness", "plot_curves"],
    ["evaluate_robustness", "plot_passes"],
    ["collect_results", "plot_transfer"],
    ["collect_results", "plot_robustness"],
    ["evaluate_robustness", "publish_tables"],
    ["collect_results", "plot_bounds"],
    ["evaluate_robustness", "plot_radii"],
    ["collect_results", "plot_tradeoff"],
    ["collect_results", "plot_curves"],
    ["collect_results", "plot_classes"],
    ["train_model", "plot_training"],
    ["craft_examples", "plot_examples"],
]


def graph_spec(settings, study):
    """Say what the rule graph's figure shows."""
    return {"edges": RULE_EDGES, "figures": settings["figures"]}


def gate_name(settings, study):
    """Say whose gate is passed."""
    return {"study": study}
