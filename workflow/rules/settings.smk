"""The configuration, checked and complete, and what all rules read of it; no rules.

Wildcards and `config` are read in the helper files only. None of them imports PyTorch.
"""

import gc
import json
import os

from gauntlet.study import audit_threat, models, own_files, precision, schema, specs, strict_yaml
from gauntlet.study import tracking
from gauntlet.study.device_kind import device_kind
from gauntlet.study.matrix import AS_GIVEN, is_external
from gauntlet.study.paths import ATTACK, AUDIT, CERTIFICATE, CHECK, DATA, EVALUATION, FIGURES, GIVEN
from gauntlet.study.paths import ROUND, RUN, SEARCH, STEP, STEPPED, STUDY, TRANSFER, TRIAL, WEIGHTS

# Planning creates millions of objects that stay; collecting garbage takes a tenth of its time.
gc.set_threshold(200_000, 50, 50)

NAME = "[a-z][a-z0-9_]*"
TRAINED = f"(?!{AS_GIVEN}/){NAME}"


wildcard_constraints:
    dataset=NAME,
    model=NAME,
    defense=NAME,
    source=NAME,
    attack=NAME,
    certificate=NAME,
    preprocess=NAME,
    study=NAME,
    search=NAME,
    round="[1-9][0-9]*",
    trial="[1-9][0-9]*",
    part="train|validation|test",
    seed="[0-9]+",


try:
    strict_yaml.require_unique_keys(config_files())
    SETTINGS = schema.complete(
        config, HOME / "workflow" / "schemas" / "config.schema.yaml", command_line_config()
    )
    if problems := own_files.own_file_problems(SETTINGS) + tracking.problems(SETTINGS):
        raise GauntletError("\n".join(problems))
except GauntletError as error:
    raise WorkflowError(f"The configuration cannot be used.\n{error}") from None
if is_main_process():
    for sentence in audit_threat.threat_warnings(SETTINGS, SETTINGS["run"]):
        logger.warning(sentence)

os.environ.update(
    GAUNTLET_MIRRORS=json.dumps(SETTINGS["mirrors"]),
    GAUNTLET_CHECKPOINT_MINUTES=str(SETTINGS["compute"]["checkpoint_minutes"]),
    GAUNTLET_TRACKING=tracking.environment(SETTINGS),
)
precision.keep_in(precision.STUDY_FOLDER)  # a job on another machine finds there what was planned
GPUS = int(device_kind(SETTINGS) == "cuda")  # per job; a profile limits how many in all
THREADS = SETTINGS["compute"]["threads"]


scattergather:
    craft=SETTINGS["compute"]["shards"],


SHARDS = shard_count()


# Wildcards that name definitions of the configuration, and the definitions that they name.
DEFINED = {
    "dataset": "datasets",
    "model": "models",
    "defense": "defenses",
    "source": "defenses",
    "attack": "attacks",
    "certificate": "certificates",
    "preprocess": "preprocess",
    "study": "studies",
    "search": "searches",
}


def require_known(wildcards):
    """Refuse a target whose names the configuration does not define, in one sentence."""
    for wildcard, kind in DEFINED.items():
        name = getattr(wildcards, wildcard, None)
        if name is None or name in SETTINGS[kind] or (kind, name) == ("defenses", AS_GIVEN):
            continue
        raise WorkflowError(
            f"A target names the {wildcard} '{name}', which {kind} of the configuration does not "
            f"define; allowed are {', '.join(SETTINGS[kind]) or 'none'}."
        )
    if hasattr(wildcards, "defense") and hasattr(wildcards, "model"):
        require_way(wildcards.model, wildcards.defense)


def require_way(model, defense):
    """Refuse a target that trains an external model, or takes one of ours as it was given."""
    external = is_external(SETTINGS["models"][model])
    if external != (defense == AS_GIVEN):
        allowed = AS_GIVEN if external else ", ".join(SETTINGS["defenses"])
        raise WorkflowError(
            f"A target names the defense '{defense}' of the model '{model}'; allowed for this "
            f"model are {allowed}."
        )
