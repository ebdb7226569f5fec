"""The one adapter between Snakemake and a stage function.

A stage is called with paths by the names of the rule's inputs and outputs, and with the spec.
It sees temporary output names; they get their final names when all is done. Beside its result
every stage leaves its provenance.
"""

import inspect
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from gauntlet.core import files as whole
from gauntlet.core import progress, signals, spent
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256
from gauntlet.runtime import gpu_leases, os_errors, parent_watch, provenance, scratch, store, worker

logger = logging.getLogger("gauntlet")
KEPT = ".gauntlet/partial"  # below the working directory
ENTRY = f"{__name__}:perform_file"  # what the warm worker calls


def run(stage: Callable, snakemake) -> None:
    """Run a stage that needs PyTorch or plots, in the warm worker if there is one."""
    task = _task(stage, snakemake)
    code = worker.delegate(ENTRY, task)
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
        "gpus": int(snakemake.resources.get("gpu", 0)),
        "log": str(snakemake.log[0]),
        "folder": os.getcwd(),
    }


def perform_file(task: dict) -> int:
    """Do the task by the stage function of its script's file. Gives an exit code."""
    script = Path(task["script"])
    plan = spec_from_file_location(script.stem, script)
    module = module_from_spec(plan)
    sys.path.append(str(script.parent))
    plan.loader.exec_module(module)
    return perform(getattr(module, task["stage"]), task)


def perform(stage: Callable, task: dict) -> int:
    """Do the task in this process: log, temporary outputs, provenance. Gives an exit code."""
    signals.end_on_signals()
    parent_watch.end_with_parent()
    handlers = _log_to(task["log"])
    os.environ[progress.JOB] = task["log"]
    try:
        whole.sweep(task["outputs"].values())
        _fulfil(stage, task)
        return 0
    except signals.Saved:
        raise  # it has logged so itself
    except signals.Stopped as end:
        logger.warning("%s was asked to stop (%s)", task["rule"], end.name)
        raise
    except GauntletError as error:
        logger.error("%s: %s", task["rule"], error)
    except Exception as error:
        message = os_errors.sentence(error, task) if isinstance(error, OSError) else None
        if message:
            logger.error("%s: %s", task["rule"], message)
        else:
            logger.exception("%s failed: %s: %s", task["rule"], type(error).__name__, error)
    finally:
        progress.hide()
        for handler in handlers:
            logger.removeHandler(handler)
            with suppress(OSError):  # what was left to write to a full disk
                handler.close()
    return 1


def _fulfil(stage: Callable, task: dict) -> None:
    """Take the result from the store, or compute it; then give the files their names."""
    started = time.time()
    inputs = provenance.checked_inputs(task)
    shelf, key = store.from_environment(), store.key(task, inputs, provenance.versions())
    finals = {name: path for name, path in task["outputs"].items() if name != "provenance"}
    kept = Path(KEPT) / key[:24]
    with scratch.growing(finals) as partials:
        entry = shelf.take(key, partials) if shelf else None
        if entry is None:
            entry = _computed(stage, task, finals, partials, kept)
            if shelf and not entry["how"].get("failed"):  # the next run tries it again
                shelf.add(key, partials, entry)
        else:
            logger.info("%s is taken from the store, where %s is", task["rule"], key)
        _publish(task, finals, partials, inputs, entry)
    if failed := entry["how"].get("failed"):
        logger.error("%s failed: %s", task["rule"], failed)
    shutil.rmtree(kept, ignore_errors=True)
    spent.forget(kept)
    logger.info("%s done in %.1f s", task["rule"], time.time() - started)


def _computed(stage: Callable, task: dict, finals: dict, partials: dict, kept: Path) -> dict:
    """Run the stage; give the sha256 of its outputs and the record of their making.

    A stage that asks for `keep` gets a folder for what is done so far. Its name is tied to spec,
    code and the inputs' contents, so that only the same work finds it again; it lies where
    Snakemake removes nothing, and goes when the job is done. A stage that gives back a text has
    written, in the place of its result, that it failed; the record has the text under `failed`.
    """
    own = {}
    if "keep" in inspect.signature(stage).parameters:
        kept.mkdir(parents=True, exist_ok=True)
        own = {"keep": kept}
    with gpu_leases.leased(task["gpus"]) as devices:
        earlier = spent.begin(kept) if own else spent.Spent()
        started, clock = time.time(), spent.cpu_seconds()
        failed = stage(**task["inputs"], **partials, **_asked(stage, task["params"]), **own)
        seconds = earlier.seconds + time.time() - started
        cpu = earlier.cpu_seconds + spent.cpu_seconds() - clock
    for name, path in partials.items():
        if not Path(path).is_file():
            raise AssertionError(f"the stage did not write its output {finals[name]}")
    how = provenance.made(task, seconds, cpu, devices)
    how |= {"failed": failed} if failed else {}
    return {"outputs": {name: sha256(path) for name, path in partials.items()}, "how": how}


def _publish(task: dict, finals: dict, partials: dict, inputs: dict, entry: dict) -> None:
    """Give the files their final names, unless the run that asked for them is over."""
    if not parent_watch.lives():
        raise GauntletError("the Snakemake that started this job is gone; its result is dropped.")
    if "provenance" in task["outputs"]:
        text = provenance.record(task, inputs, entry["outputs"], entry["how"])
        write = partial(Path.write_text, data=text, encoding="utf-8")
        whole.write_whole(task["outputs"]["provenance"], write)
    for name, path in finals.items():
        scratch.settle(partials[name], path)


def _asked(stage: Callable, params: dict) -> dict:
    """Give the params that the stage names: `spec`; the code hash is for Snakemake alone."""
    return {name: params[name] for name in inspect.signature(stage).parameters if name in params}


def _log_to(path: str) -> list[logging.Handler]:
    """Send the library's log to the rule's file, and warnings to the run's display too."""
    logging.raiseExceptions = False  # a full disk is reported once, by the job's own error
    terminal = progress.Messages()
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger.handlers[:] = [terminal]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    except OSError as error:
        logger.warning("the log %s cannot be written: %s", path, error.strerror)
        return []
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logger.addHandler(handler)
    return [handler]


def _named(values) -> dict:
    """Turn one of Snakemake's named lists into a dict of texts, lists of texts or params."""
    return {name: _plain(value) for name, value in values.items()}


def _plain(value):
    if isinstance(value, (str, os.PathLike)):
        return str(value)
    return list(map(str, value)) if hasattr(value, "_names") else value
