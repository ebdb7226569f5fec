"""In which number format attacks take their gradients: what `compute.precision` comes to.

Standard library only: `auto` is measured in a process of its own, once for each machine, network,
shape, batch, threads and version of PyTorch. The measurement is kept in a folder of the machine
(`cache_folder`), the choice in the folder of the study (`STUDY_FOLDER`), where it stands.
"""

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import lru_cache
from glob import glob
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gauntlet.core.plugin_facts import facts
from gauntlet.core.plugins import LIBRARY, find, is_built_in
from gauntlet.study import precision_choices
from gauntlet.study.device_kind import device_kind, multiplies_bfloat16, processor_name
from gauntlet.study.matrix import is_external
from gauntlet.study.models import known_shape

AUTO, EXACT, LOWER = "auto", "float32", "bfloat16"
MARGIN = 1.15  # times as fast a lower precision must be, forward and backward, to be taken
CACHE = "GAUNTLET_PRECISION_CACHE"  # folder of what this machine has measured; "off": nothing is
FOLDER = "GAUNTLET_PRECISION_FOLDER"  # where a run keeps the choices of its folder; see `keep_in`
STUDY_FOLDER = ".gauntlet/precision"  # below the working directory
MEASUREMENT = "gauntlet.stages.measure_precision"
PATIENCE = 900  # seconds that a measurement may take
LAYOUT = "channels_last"  # how jobs lay networks out, and the measurement too
CLASSES = 10  # where they are not known before a job; they change the speed little
ASKED = ("batch", "device", "model", "threads")  # of a job's specification
GPUS = "/proc/driver/nvidia/gpus/*/information"
Spec = dict[str, Any]
logger = logging.getLogger(__name__)


def craft_precision(config: Spec, dataset: str, model: str, attack: str, job: Spec) -> str:
    """Give the number format of an attack's gradients; `job` is the specification so far.

    float32 for an attack whose file does not say that it loses nothing. `auto` is bfloat16 only
    where a measurement shows it faster: of a network of ours on images of a known shape.
    """
    if not _can_lower(config, attack):
        return EXACT
    if config["compute"]["precision"] != AUTO:
        return config["compute"]["precision"]
    question = _question(config, dataset, model, job)
    return EXACT if question is None else _standing(question)


def train_precision(config: Spec, dataset: str, model: str, training: Spec, job: Spec) -> str:
    """Give the number format of a training; `auto` is what the same measurement says of attacks."""
    if training["precision"] != AUTO:
        return training["precision"]
    question = _question(config, dataset, model, job)
    return EXACT if question is None else _standing(question)


def check_precision(config: Spec, attack: str) -> str:
    """Give the number format in which an attack is checked: the lowest that it may come to here."""
    wanted = config["compute"]["precision"]
    if not _can_lower(config, attack):
        return EXACT
    return wanted if wanted != AUTO else _standing({"device": device_kind(config)})


def keep_in(folder: str, environ: dict[str, str] | os._Environ = os.environ) -> None:
    """Let this process, and those that it starts, keep in a folder what is chosen."""
    environ[FOLDER] = os.path.abspath(folder)


def cache_folder(environ: Mapping[str, str] = os.environ) -> str:
    """Name the folder of what this machine has measured, or "off"."""
    base = environ.get("XDG_CACHE_HOME", "")
    base = base if os.path.isabs(base) else os.path.expanduser("~/.cache")
    return environ.get(CACHE) or os.path.join(base, "gauntlet", "precision")


def _can_lower(config: Spec, attack: str) -> bool:
    wanted, kind = config["compute"]["precision"], config["attacks"][attack]["kind"]
    return wanted != EXACT and facts("attacks", kind).low_precision


def _question(config: Spec, dataset: str, model: str, job: Spec) -> Spec | None:
    """Say what is measured; None for a network or images that are not known before a job."""
    settings, source = config["models"][model], config["datasets"][dataset]
    path, shape = find("models", settings["arch"]), known_shape(source)
    ours = path is not None and is_built_in(path) and "factory" not in settings
    if shape is None or not ours or is_external(settings):
        return None
    classes = facts("data", source["source"]).get("CLASS_COUNT", CLASSES)
    asked = {key: job[key] for key in ASKED} | {"shape": [*shape], "classes": classes}
    return asked | {"layout": LAYOUT}


def _standing(question: Spec) -> str:
    """Give the choice that stands for a question, made now if there is none."""
    text = json.dumps(question, sort_keys=True)
    return _chosen(text, os.environ.get(FOLDER), os.getcwd(), cache_folder())["precision"]


@lru_cache(maxsize=1024)
def _chosen(text: str, folder: str | None, home: str, cache: str) -> Spec:
    """Look in the study's folder first; without a FOLDER what is there is read, nothing is kept."""
    question = json.loads(text)
    place = os.path.join(home, STUDY_FOLDER) if folder is None else folder
    found = precision_choices.read(place, question) if place else None
    if found is not None:
        return found
    choice = _choice(question, cache)
    return precision_choices.keep(folder, question, choice) if folder else choice


def _choice(question: Spec, cache: str) -> Spec:
    if not multiplies_bfloat16(question["device"]):
        return {"precision": EXACT, "why": "this machine does not multiply bfloat16 natively"}
    if "model" not in question:
        return {"precision": LOWER, "why": "this machine multiplies bfloat16 natively"}
    if cache == "off":
        return {"precision": EXACT, "why": f"{CACHE} is off: nothing was measured"}
    try:
        here = {"machine": _machine(question["device"]), "torch": version("torch")}
    except PackageNotFoundError:
        return {"precision": EXACT, "why": "PyTorch is not installed where jobs are planned"}
    known = precision_choices.read(cache, question | here)
    return known or _measured(question, here, cache)


def _measured(question: Spec, here: Spec, cache: str) -> Spec:
    """Measure a network in another process, and keep what is found; float32 if that fails."""
    arch, shape = question["model"]["arch"], "x".join(map(str, question["shape"]))
    logger.warning("Measuring once whether bfloat16 is faster here: %s on %s images.", arch, shape)
    try:
        found = _ask(question)
        speedup = float(found["speedup"])
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1:]
        why = f"the speed of {arch} in bfloat16 could not be measured ({''.join(said):.200})"
        logger.warning("compute.precision: auto is float32: %s.", why)
        return {"precision": EXACT, "why": why}
    choice = {
        "precision": LOWER if speedup >= MARGIN else EXACT,
        "why": f"bfloat16 is {speedup:.2f} times as fast; {MARGIN} is asked for",
        "measured": found,
    }
    return precision_choices.keep(cache, question | here, choice)


def _ask(question: Spec) -> Spec:
    """Let another process measure, so that planning does not import PyTorch."""
    paths = [str(Path(LIBRARY).parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", MEASUREMENT],
        input=json.dumps(question),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _machine(device: str) -> str:
    """Name what computes: machines of one kind share what is measured."""
    if device == "cpu":
        return processor_name() or socket.gethostname()
    models = [_gpu_model(path) for path in sorted(glob(GPUS))]
    return " / ".join(dict.fromkeys(filter(None, models))) or socket.gethostname()


def _gpu_model(path: str) -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Model")), "")
