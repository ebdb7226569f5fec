"""Give Snakemake its records of results that were finished while no Snakemake was running.

A job on a cluster can outlive its Snakemake. It gives its results their final names and removes
the mark `incomplete` from them, but only Snakemake's main process writes the record of how they
were made. Snakemake accepts results without a record, so it would not notice a setting that was
changed in the meantime, and it would take an old record for new files. The provenance beside each
result says what made it and which content it has. Where this content is found, the provenance
becomes the record; elsewhere the result is marked incomplete and is made again.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gauntlet.core.files import PROVENANCE, sha256
from gauntlet.core.records import read_or_empty
from gauntlet.runtime.cluster import snakemake_private

NEEDED = {"rule", "spec", "code", "inputs", "outputs"}  # keys of every provenance


@dataclass
class Adopted:
    """How many files are whole and have a record now, and how many will be made again."""

    whole: int = 0
    doubtful: int = 0


def adopt(folder: str | Path) -> Adopted:
    """Correct what Snakemake has on record about a folder's results.

    Only files are read whose record is missing or differs from their provenance. No Snakemake and
    no job may be at work in the folder.
    """
    folder, counted = Path(folder), Adopted()
    for path in sorted(folder.glob(f"results/**/*{PROVENANCE}")):
        _adopt_result(folder, path.relative_to(folder).as_posix(), counted)
    return counted


def _adopt_result(folder: Path, name: str, counted: Adopted) -> None:
    provenance = read_or_empty(folder / name)
    if not set(provenance) >= NEEDED:
        _mark(folder, name, counted)
        return
    whole = True
    for output, digest in sorted(provenance["outputs"].items()):
        if (folder / output).is_file() and not _is_settled(folder, output, provenance, name):
            proven = sha256(folder / output) == digest
            whole = whole and proven
            _settle(folder, output, provenance if proven else None, name, counted)
    if not whole or not _is_settled(folder, name, provenance, name):
        _settle(folder, name, provenance if whole else None, name, counted)


def _record(folder: Path, output: str, provenance: Mapping[str, Any], name: str) -> dict[str, Any]:
    ended = (folder / output).stat().st_mtime
    return snakemake_private.record(provenance, name, ended)


def _is_settled(folder: Path, output: str, provenance: Mapping[str, Any], name: str) -> bool:
    """Tell whether Snakemake's record of a file names the same spec, code and inputs."""
    if snakemake_private.mark_path(folder, output).is_file():
        return False
    found = read_or_empty(snakemake_private.record_path(folder, output))
    return snakemake_private.agrees(found, _record(folder, output, provenance, name))


def _settle(
    folder: Path, output: str, provenance: Mapping[str, Any] | None, name: str, counted: Adopted
) -> None:
    """Write the record of a file, or mark it incomplete where there is no provenance for it."""
    if provenance is None:
        _mark(folder, output, counted)
        return
    record = _record(folder, output, provenance, name)
    _write(snakemake_private.record_path(folder, output), record)
    snakemake_private.mark_path(folder, output).unlink(missing_ok=True)
    counted.whole += 1


def _mark(folder: Path, output: str, counted: Adopted) -> None:
    _write(snakemake_private.mark_path(folder, output), snakemake_private.MARK)
    counted.doubtful += 1


def _write(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.part")
    partial.write_text(json.dumps(content), encoding="utf-8")
    os.replace(partial, path)
