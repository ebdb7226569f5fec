"""What finished while no Snakemake watched: proven whole, and put on Snakemake's record.

A job on a cluster that outlives its Snakemake gives its results their final names and takes the
mark `incomplete` off them, but how they were made is put on record by the main process alone.
Snakemake takes results without a record for good, so that a setting changed meanwhile would go
unnoticed, and an old record would speak for new bytes. The provenance beside every result says
what made it and what its bytes are: where these are there, it is the record; where they are not,
the result is marked incomplete and made again.
"""

import json
import os
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256 as hashed
from pathlib import Path

from gauntlet.core.files import sha256

RECORDS, MARKS = ".snakemake/metadata", ".snakemake/incomplete"
FORMAT = 6  # of Snakemake's records; a test holds it against the installed Snakemake's
ENDING = ".provenance.json"


@dataclass
class Adopted:
    """How many files were proven whole and recorded, and how many are made again."""

    whole: int = 0
    doubtful: int = 0


def adopt(folder: str | Path) -> Adopted:
    """Look through a folder's results and set right what Snakemake has on record about them.

    Only files whose record is missing, or says something else than their provenance, are read.
    No Snakemake and no job may be at work in the folder.
    """
    folder, counted = Path(folder), Adopted()
    for path in sorted(folder.glob(f"results/**/*{ENDING}")):
        _adopt_result(folder, path, counted)
    return counted


def _adopt_result(folder: Path, path: Path, counted: Adopted) -> None:
    name = path.relative_to(folder).as_posix()
    provenance = _read(path)
    if not {"rule", "spec", "code", "inputs", "outputs"} <= set(provenance):
        _mark(folder, name)
        counted.doubtful += 1
        return
    record, whole = _record(provenance, name), True
    for output, digest in sorted(provenance["outputs"].items()):
        if (folder / output).is_file() and not _settled(folder, output, record):
            proven = sha256(folder / output) == digest
            whole = whole and proven
            _settle(folder, output, record if proven else None, counted)
    if not whole or not _settled(folder, name, record):
        _settle(folder, name, record if whole else None, counted)


def _settled(folder: Path, output: str, record: dict) -> bool:
    """Whether Snakemake's record of a file tells of the same spec, code and inputs."""
    if (folder / MARKS / _place(folder, output)).is_file():
        return False
    found = _read(folder / RECORDS / _place(folder, output))
    alike = all(set(found.get(key) or ()) == set(record[key]) for key in ("params", "input"))
    digests = (found.get("input_checksums") or {}).items()
    return alike and all(record["input_checksums"][path] == digest for path, digest in digests)


def _settle(folder: Path, output: str, record: dict | None, counted: Adopted) -> None:
    if record is None:
        _mark(folder, output)
        counted.doubtful += 1
        return
    ended = (folder / output).stat().st_mtime
    times = {"starttime": ended - record["seconds"], "endtime": ended}
    kept = {key: value for key, value in record.items() if key != "seconds"}
    _write(folder / RECORDS / _place(folder, output), {**kept, **times})
    (folder / MARKS / _place(folder, output)).unlink(missing_ok=True)
    counted.whole += 1


def _mark(folder: Path, output: str) -> None:
    _write(folder / MARKS / _place(folder, output), {"external_jobid": None})


def _record(provenance: dict, name: str) -> dict:
    """Say what Snakemake's main process would have recorded, as far as it is known.

    Null is what Snakemake does not compare. The job's hash only groups the files of a job.
    """
    inputs = provenance["inputs"]
    return {
        "rule": provenance["rule"],
        "input": sorted(inputs),
        "log": None,
        "shellcmd": None,
        "params": sorted(map(repr, (provenance["spec"], provenance["code"]))),
        "code": None,
        "record_format_version": FORMAT,
        "conda_env": None,
        "container_img_url": None,
        "software_stack_hash": None,
        "job_hash": int(hashed(name.encode()).hexdigest()[:12], 16),
        "incomplete": False,
        "external_jobid": None,
        "input_checksums": {path: f"sha256:{digest}" for path, digest in sorted(inputs.items())},
        "seconds": provenance.get("seconds", 0.0),
    }


def _place(folder: Path, output: str) -> Path:
    """Give the place of a file's record: its name in base64, cut where names become too long."""
    longest = (os.pathconf(folder, "PC_NAME_MAX") or 255) - 1
    name = urlsafe_b64encode(output.encode()).decode()
    parts = [name[start : start + longest] for start in range(0, len(name), longest)]
    return Path(*(f"@{part}" for part in parts[:-1]), parts[-1])


def _read(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.part")
    partial.write_text(json.dumps(content), encoding="utf-8")
    os.replace(partial, path)
