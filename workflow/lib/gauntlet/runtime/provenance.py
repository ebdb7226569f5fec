"""How a result came about, beside the result; and whether files still are what was written."""

import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import PROVENANCE, sha256
from gauntlet.core.locations import version
from gauntlet.core.records import read_or_empty

ENDING = PROVENANCE
# Packages that can decide a result: part of the key of the store. A test reads the requirements.
VERSIONS = (
    *("snakemake", "torch", "torchvision", "numpy", "scipy", "pandas", "matplotlib", "pillow"),
    *("scikit-learn", "onnx", "onnxruntime", "protobuf", "safetensors", "optuna"),
)
DESCRIBE = ("describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=-changed")
PATIENCE = 10  # seconds that git may take


def input_paths(task: dict) -> list[str]:
    """List a task's input files, in their order."""
    values = task["inputs"].values()
    return [path for value in values for path in ([value] if isinstance(value, str) else value)]


def checked_inputs(task: dict) -> dict[str, str]:
    """Give the sha256 of every input: path -> digest.

    Raises GauntletError for one that is not what its own provenance says was written: truncated
    by a file system that crashed, or changed by hand. Modification times are not asked.
    """
    digests = {path: sha256(path) for path in input_paths(task)}
    records = {folder: _records(folder) for folder in {Path(path).parent for path in digests}}
    for path, digest in digests.items():
        if problem := _differs(path, digest, records[Path(path).parent]):
            raise GauntletError(problem)
    return digests


def damaged(records: Iterable[Path]) -> dict[str, str]:
    """Say of every file that is not what its record says was written: path -> one sentence."""
    found = {}
    for record in sorted(records):
        for path in sorted(_written(record)):
            if not os.path.isfile(path):
                continue
            if problem := _differs(path, sha256(path), _records(Path(path).parent)):
                found[path] = problem
    return found


def _records(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{ENDING}"))


def _differs(path: str, digest: str, records: list[Path]) -> str | None:
    """Say so if one of the records beside a file says that another content was written."""
    for record in records:
        wanted = _written(record).get(path)
        if wanted not in (None, digest):
            return (
                f"{path} is not what {record.name} says was written (it was truncated or changed "
                f"since); remove it, and the next run makes it again."
            )
    return None


def _written(record: Path) -> dict[str, str]:
    """Give path -> sha256 of what a record says was written; nothing of a record in ruins."""
    try:
        state = record.stat()
    except OSError:
        return {}
    return _outputs(str(record), state.st_mtime_ns, state.st_size)


@cache
def _outputs(record: str, changed: int, size: int) -> dict[str, str]:
    found = read_or_empty(Path(record)).get("outputs")
    return found if isinstance(found, dict) else {}


def made(task: dict, seconds: float, cpu: float, devices: list[str]) -> dict:
    """Describe how a task's result was made: spec, code, versions, hardware, time and memory.

    `date` is when the computation ended (UTC); `commit` is that of Gauntlet's own checkout, with
    "-changed" behind it if files differ from it, and None outside a checkout. `peak_rss_mb` is of
    the largest process, where several share the work. Seconds count what interrupted attempts
    have spent on what this one took over.
    """
    each = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(who).ru_maxrss for who in each)
    there = {"machine": platform.machine(), "cores": os.cpu_count()}
    there |= {"devices": devices} if devices else {}
    return {
        "spec": task["params"].get("spec"),
        "code": task["params"].get("code"),
        "gauntlet": version(),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "hardware": there | _torch_hardware(),
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu, 3),
        "peak_rss_mb": round(peak / (2**20 if sys.platform == "darwin" else 2**10)),
    }


def record(task: dict, inputs: dict[str, str], outputs: dict[str, str], how: dict) -> str:
    """Give the whole record as text: `outputs` by name, `how` from `made`."""
    named = {task["outputs"][name]: digest for name, digest in outputs.items()}
    whole = {"rule": task["rule"], "inputs": inputs, "outputs": named} | how
    return json.dumps(whole, indent=2, sort_keys=True) + "\n"


def versions() -> dict[str, str]:
    """Give the versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version()} | dict(_packages())


@cache
def commit(file: str = __file__) -> str | None:
    """Give the git commit of the checkout that tracks a file; None if there is none.

    A copy that was installed below somebody else's repository is not tracked by it.
    """
    try:
        _git(file, "ls-files", "--error-unmatch", Path(file).name)
        return _git(file, *DESCRIBE)
    except (OSError, subprocess.SubprocessError):
        return None


def _git(file: str, *words: str) -> str:
    command = ["git", "-C", str(Path(file).parent), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return done.stdout.strip()


def _packages() -> Iterator[tuple[str, str]]:
    for name in VERSIONS:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def _torch_hardware() -> dict:
    """Ask PyTorch for its hardware, if the stage has used it."""
    if "torch" not in sys.modules:
        return {}
    from gauntlet.core.device import describe

    return describe()
