"""The one adapter between Snakemake and a stage function.

A stage is called with paths by the names of the rule's inputs and outputs, and with the spec.
It sees temporary output names; they get their final names when all is done. Beside its result
every stage leaves its provenance.
"""

import hashlib
import inspect
import json
import logging
import os
import platform
import resource
import shutil
import socket
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from gauntlet import stopping, warm
from gauntlet.errors import GauntletError

logger = logging.getLogger("gauntlet")
KEPT = ".gauntlet/partial"  # below the working directory
VERSIONS = ("snakemake", "torch", "torchvision", "numpy", "pandas", "matplotlib")


def run(stage: Callable, snakemake) -> None:
    """Run a stage that needs PyTorch or plots, in the warm worker if there is one."""
    task = _task(stage, snakemake)
    code = warm.delegate(task)
    sys.exit(perform(stage, task) if code is None else code)


def run_here(stage: Callable, snakemake) -> None:
    """Run a stage that starts fast by itself, in this process."""
    sys.exit(perform(stage, _task(stage, snakemake)))


def _task(stage: Callable, snakemake) -> dict:
    return {
        "script": stage.__globals__["__file__"],
        "stage": stage.__name__,
        "rule": snakemake.rule,
        "inputs": _named(snakemake.input),
        "outputs": _named(snakemake.output),
        "params": _named(snakemake.params),
        "log": str(snakemake.log[0]),
        "folder": os.getcwd(),
    }


def perform(stage: Callable, task: dict) -> int:
    """Do the task in this process: log, temporary outputs, provenance. Gives an exit code."""
    stopping.end_on_signals()
    handler = _log_to(task["log"])
    finals = {name: path for name, path in task["outputs"].items() if name != "provenance"}
    partials = {name: str(partial_name(path)) for name, path in finals.items()}
    try:
        _sweep(task["outputs"].values())
        _fulfil(stage, task, finals, partials)
        return 0
    except GauntletError as error:
        logger.error("%s: %s", task["rule"], error)
    except Exception as error:
        logger.exception("%s failed: %s: %s", task["rule"], type(error).__name__, error)
    finally:
        for path in partials.values():
            Path(path).unlink(missing_ok=True)
        logger.removeHandler(handler)
        handler.close()
    return 1


def partial_name(path: str | Path) -> Path:
    """Name the temporary sibling that a file has until it is whole; the suffix stays."""
    path = Path(path)
    owner = f"{socket.gethostname()}-{os.getpid()}"
    return path.with_name(f".{path.stem}.{owner}.part{path.suffix}")


def _fulfil(stage: Callable, task: dict, finals: dict, partials: dict) -> None:
    started, clock = time.time(), time.process_time()
    kept = _keep(stage, task)
    stage(**task["inputs"], **partials, **_asked(stage, task["params"]), **kept)
    seconds = time.time() - started
    _require(partials, finals)
    if "provenance" in task["outputs"]:
        record = _provenance(task, partials, seconds, time.process_time() - clock)
        _write_whole(task["outputs"]["provenance"], record)
    for name, path in finals.items():
        os.replace(partials[name], path)
    for folder in kept.values():
        shutil.rmtree(folder, ignore_errors=True)
    logger.info("%s done in %.1f s", task["rule"], seconds)


def _keep(stage: Callable, task: dict) -> dict[str, Path]:
    """Give a stage that asks for it a folder for what is done so far: `keep`.

    Its name is tied to spec, code and the inputs' contents, so that only the same work finds it
    again; it lies where Snakemake removes nothing, and goes when the job is done.
    """
    if "keep" not in inspect.signature(stage).parameters:
        return {}
    from gauntlet.digest import sha256

    inputs = [sha256(path) for value in task["inputs"].values() for path in _paths(value)]
    key = json.dumps([task["rule"], task["params"], inputs], sort_keys=True)
    folder = Path(KEPT) / hashlib.sha256(key.encode()).hexdigest()[:24]
    folder.mkdir(parents=True, exist_ok=True)
    return {"keep": folder}


def _asked(stage: Callable, params: dict) -> dict:
    """Give the params that the stage names: `spec`; the code hash is for Snakemake alone."""
    return {name: params[name] for name in inspect.signature(stage).parameters if name in params}


def _require(partials: dict, finals: dict) -> None:
    for name, path in partials.items():
        if not Path(path).is_file():
            raise AssertionError(f"the stage did not write its output {finals[name]}")


def _provenance(task: dict, partials: dict, seconds: float, cpu_seconds: float) -> dict:
    from gauntlet.digest import sha256

    inputs = [path for value in task["inputs"].values() for path in _paths(value)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "rule": task["rule"],
        "spec": task["params"].get("spec"),
        "code": task["params"].get("code"),
        "inputs": {path: sha256(path) for path in inputs},
        "outputs": {task["outputs"][name]: sha256(path) for name, path in partials.items()},
        "versions": _versions(),
        "hardware": {"machine": platform.machine(), "cores": os.cpu_count(), **_torch_hardware()},
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_seconds, 3),
        "peak_rss_mb": round(peak / (2**20 if sys.platform == "darwin" else 2**10)),
    }


def _torch_hardware() -> dict:
    """Ask PyTorch for its hardware, if the stage has used it."""
    if "torch" not in sys.modules:
        return {}
    from gauntlet.compute import describe

    return describe()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _write_whole(path: str, record: dict) -> None:
    partial = partial_name(path)
    partial.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(partial, path)


def _sweep(outputs) -> None:
    """Remove what a killed run of this very job on this machine left half-written."""
    host = socket.gethostname()
    for path in map(Path, outputs):
        for left in path.parent.glob(f".{path.stem}.{host}-*.part*"):
            owner = left.name.split(f".{host}-")[1].split(".")[0]
            if owner.isdigit() and not Path(f"/proc/{owner}").exists():
                left.unlink(missing_ok=True)


def _log_to(path: str) -> logging.Handler:
    """Send the library's log to the rule's file, and warnings to the terminal too."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger.handlers[:] = [handler, terminal]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return handler


def _named(values) -> dict:
    """Turn one of Snakemake's named lists into a dict of texts, lists of texts or params."""
    return {name: _plain(value) for name, value in values.items()}


def _plain(value):
    if isinstance(value, (str, os.PathLike)):
        return str(value)
    return list(map(str, value)) if hasattr(value, "_names") else value


def _paths(value) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
