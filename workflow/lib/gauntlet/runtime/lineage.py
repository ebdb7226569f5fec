"""The way of a result back: the provenance of its file, of that file's inputs, and so on."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256
from gauntlet.runtime.provenance import ENDING

# What every record of a job holds; a file without one of these is none.
FIELDS = frozenset(("rule", "inputs", "outputs", "spec", "code", "versions", "hardware"))
FIELDS |= {"seconds", "cpu_seconds", "peak_rss_mb"}


@dataclass(frozen=True)
class Step:
    """One job that led to a result: its record, and where that lies, as the run names it."""

    record_path: str
    record: dict

    @property
    def outputs(self) -> list[str]:
        """Name the files that it wrote."""
        return list(self.record["outputs"])


@dataclass(frozen=True)
class Lineage:
    """A file, whether it is what was written, the job that wrote it, and all jobs before it."""

    path: str
    root: Path
    intact: bool
    made_by: Step
    before: list[Step]


def trace(path: Path) -> Lineage:
    """Follow a result back to its sources.

    Raises GauntletError for a file that is not there or that no provenance record names.
    """
    if not path.is_file():
        raise GauntletError(f"The result '{path}' does not exist; allowed is a file of a run.")
    name, root, step = _maker(path)
    written = step.record["outputs"].get(name)
    intact = written is None or sha256(path) == written  # a record does not name itself
    seen = {step.record_path}
    before = list(_earlier(step, root, seen))
    return Lineage(name, root, intact, step, before)


def _maker(path: Path) -> tuple[str, Path, Step]:
    """Find a file's name in its run, the run's folder, and the job that wrote the file."""
    for record in _records(path):
        step = _read(record)
        for name in step.outputs if step else ():
            sibling = record.parent / Path(name).name
            root = _root(sibling, name)
            if root is None:
                continue
            if path.name.endswith(ENDING) or sibling.resolve() == path.resolve():
                inside = path.resolve().relative_to(root).as_posix()
                return (
                    inside,
                    root,
                    Step(record.resolve().relative_to(root).as_posix(), step.record),
                )
    raise GauntletError(
        f"No provenance record beside '{path}' names it; allowed is a result of a job."
    )


def _records(path: Path) -> list[Path]:
    return [path] if path.name.endswith(ENDING) else sorted(path.parent.glob(f"*{ENDING}"))


def _read(path: Path) -> Step | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(record, dict) and record.keys() >= FIELDS
    named = whole and all(isinstance(record[key], dict) for key in ("inputs", "outputs"))
    return Step(str(path), record) if named else None


def _root(path: Path, name: str) -> Path | None:
    """Give the folder that a run's names start from; None if the file has another place now."""
    whole, parts = path.resolve().parts, Path(name).parts
    return Path(*whole[: -len(parts)]) if whole[-len(parts) :] == parts else None


def _earlier(step: Step, root: Path, seen: set[str]) -> Iterator[Step]:
    """Give the jobs that made a job's inputs, nearest first, each once."""
    found = []
    for name in step.record["inputs"]:
        for record in _records(root / name):
            known = _read(record)
            path = record.relative_to(root).as_posix()
            if known and path not in seen and (name == path or name in known.outputs):
                seen.add(path)
                found.append(Step(path, known.record))
    yield from found
    for earlier in found:
        yield from _earlier(earlier, root, seen)


def sources(lineage: Lineage) -> list[tuple[str, str]]:
    """Give the inputs that no job made, as (path, sha256): a user's own files."""
    steps = [lineage.made_by, *lineage.before]
    made = {name for step in steps for name in (*step.outputs, step.record_path)}
    used = {name: digest for step in steps for name, digest in step.record["inputs"].items()}
    return sorted((name, digest) for name, digest in used.items() if name not in made)
