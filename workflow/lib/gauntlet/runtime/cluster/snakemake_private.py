"""What this project knows of Snakemake beyond its documented interface, in this one file.

These are the forms of command lines, of log lines, and of the files below `.snakemake`. They can
change with any version, so the versions that are known have an upper bound. The attributes of the
workflow object that are not documented are in `workflow/rules/snakemake_private.smk`.
"""

import os
import re
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from gauntlet.core.errors import GauntletError

KNOWN = ("9.27", "9.28")  # the first version that is known, and the first that is not

# Command lines.
DIRECTORY = ("--directory", "-d")
HARMLESS = {"-n", "--dry-run", "--dryrun", "--unlock", "--lint", "--version", "--help", "-h"}
SHORT_DRY_RUN = re.compile(r"-[npFfk]*n[npFfkq]*")  # several short options that take no value
JOB = "--target-jobs"  # an option that only the jobs of a Snakemake have
INNER = ("remote", "subprocess")  # values of --mode of a Snakemake that is a job of another one
GROUP = "--local-groupid"  # an option that only a Snakemake has that runs a group of jobs

# Files below the working directory.
LOCKS = ".snakemake/locks"
LOGS = ".snakemake/log"
SCRIPTS = ".snakemake/scripts/"
RECORDS, MARKS = ".snakemake/metadata", ".snakemake/incomplete"
RECORD_FORMAT = 6
MARK = {"external_jobid": None}  # what a mark of an incomplete file holds
HEAD = 20_000  # characters at the beginning of a log in which the machine is named

# Lines of a log.
JOB_COUNTS = "Job stats:"  # the line before the table that counts the jobs of every rule
LINES = {
    "block": re.compile(r"( {4})?(?:local)?(?:rule|checkpoint) (\w+):$"),
    "group": re.compile(r"\[.*\] Group job (\S+) \(jobs in lexicogr\. order\):$"),
    "error": re.compile(r"(?: {4})?Error in rule (\w+):$"),
    "field": re.compile(r" {4,8}(jobid|output|wildcards|resources): (.*)$"),
    "finished": re.compile(r"Finished jobid: (\d+) "),
    "restart": re.compile(r"Trying to restart job (\S+?)\.$"),
    "submitted": re.compile(r"Job (\S+) has been submitted with SLURM jobid (\w+)"),
    "generic": re.compile(r"Submitted (?:group )?job (\S+) with external jobid '(.+)'\."),
    "array": re.compile(
        r"Submitted array job with Snakemake IDs ([\d,]+) and SLURM job ID (\d+)\. "
        r"The individual task IDs are (\d+)-"
    ),
}
HOST = re.compile(r"^ *host: (\S+)", re.I | re.M)
# A group of jobs has the name of one of its members, in this space of names.
GROUP_NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "https://snakemake.readthedocs.io")


def require_known(version: str) -> None:
    """Raise a GauntletError for a version of Snakemake whose private formats are not known."""
    first, end = (tuple(map(int, bound.split("."))) for bound in KNOWN)
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    if not first <= numbers < end:
        raise GauntletError(
            f"Snakemake {version} is not known: the workflow reads formats that Snakemake does "
            f"not document; allowed are versions from {KNOWN[0]} to before {KNOWN[1]}."
        )


def directory(arguments: Sequence[str], folder: str = ".") -> str:
    """Give the folder in which Snakemake works when it is started with these arguments."""
    found = None
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if argument in DIRECTORY and place + 1 < len(arguments):
            found = arguments[place + 1]
        elif name == "--directory" and equals:
            found = value
        elif argument.startswith("-d") and len(argument) > 2:
            found = argument[2:]
    return os.path.realpath(os.path.join(folder, os.path.expanduser(found or ".")))


def is_main(command: Sequence[str]) -> bool:
    """Tell whether a command is a Snakemake that plans and starts jobs, and no job of its own."""
    place = program_place(command)
    if place is None or JOB in command:
        return False
    options = command[place + 1 :]
    job = any(mode in INNER for mode in _values(options, "--mode"))
    return not job and not runs_no_job(options)


def runs_no_job(options: Iterable[str]) -> bool:
    """Tell whether a command line only looks or unlocks: `-n`, also among short options (`-np`)."""
    return any(option in HARMLESS or SHORT_DRY_RUN.fullmatch(option) for option in options)


def is_job(command: Sequence[str]) -> bool:
    """Tell whether a command is a job of Snakemake: a script that it wrote, or a Snakemake."""
    scripted = any(SCRIPTS in argument for argument in command[1:3])
    return scripted or (program_place(command) is not None and JOB in command)


def program_place(command: Sequence[str]) -> int | None:
    """Find Snakemake's place in a command: its program, or its module after -m."""
    python = os.path.basename(command[0]).startswith("python") if command else False
    for place, argument in enumerate(command[: 4 if python else 1]):
        if os.path.basename(argument) == "snakemake":
            return place
    return None


def logs(folder: str | Path) -> list[Path]:
    """List the logs of the runs in a folder, the oldest first."""
    return sorted(Path(folder, LOGS).glob("*.snakemake.log"))


def host_of(log: Path) -> str:
    """Name the machine that wrote a log; empty if it is not named. Raises OSError."""
    with open(log, encoding="utf-8", errors="replace") as stream:
        found = HOST.search(stream.read(HEAD))
    return found.group(1) if found else ""


def is_locked(folder: str | Path) -> bool:
    """Tell whether Snakemake's locks are in the folder."""
    return any(Path(folder, LOCKS).glob("*.lock"))


def group_name(rule: str, wildcards: Iterable[str]) -> str:
    """Name the group of a job, from its rule and its wildcards, written as `name=value`."""
    parts = sorted(part.replace("=", ":", 1) for part in wildcards)
    return str(uuid.uuid5(GROUP_NAMES, f"{rule}:{','.join(parts)}"))


def record_path(folder: Path, output: str) -> Path:
    """Give the path of the record of an output file."""
    return folder / RECORDS / _encoded(folder, output)


def mark_path(folder: Path, output: str) -> Path:
    """Give the path of the mark that says that an output file is incomplete."""
    return folder / MARKS / _encoded(folder, output)


def record(provenance: Mapping[str, Any], name: str, ended: float) -> dict[str, Any]:
    """Give what Snakemake's main process would have recorded about a file, as far as it is known.

    `name` is the path of the provenance, `ended` the time at which the job ended, in seconds.
    Snakemake does not compare what is null. The job's hash only groups the files of a job.
    """
    inputs = provenance["inputs"]
    return {
        "rule": provenance["rule"],
        "input": sorted(inputs),
        "log": None,
        "shellcmd": None,
        "params": sorted(map(repr, (provenance["spec"], provenance["code"]))),
        "code": None,
        "record_format_version": RECORD_FORMAT,
        "conda_env": None,
        "container_img_url": None,
        "software_stack_hash": None,
        "job_hash": int(sha256(name.encode()).hexdigest()[:12], 16),
        "incomplete": False,
        "external_jobid": None,
        "input_checksums": {path: f"sha256:{digest}" for path, digest in sorted(inputs.items())},
        "starttime": ended - provenance.get("seconds", 0.0),
        "endtime": ended,
    }


def agrees(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Tell whether a record that was found names the same params and inputs as a wanted one."""
    alike = all(set(found.get(key) or ()) == set(wanted[key]) for key in ("params", "input"))
    digests = (found.get("input_checksums") or {}).items()
    return alike and all(wanted["input_checksums"][path] == digest for path, digest in digests)


def _encoded(folder: Path, output: str) -> Path:
    """Encode a path in base64, cut into folders where a name would become too long."""
    longest = (os.pathconf(folder, "PC_NAME_MAX") or 255) - 1
    name = urlsafe_b64encode(output.encode()).decode()
    parts = [name[start : start + longest] for start in range(0, len(name), longest)]
    return Path(*(f"@{part}" for part in parts[:-1]), parts[-1])


def _values(options: Sequence[str], name: str) -> list[str]:
    after = [options[place + 1] for place, word in enumerate(options[:-1]) if word == name]
    return after + [word.partition("=")[2] for word in options if word.startswith(f"{name}=")]
