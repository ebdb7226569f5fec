"""Start Snakemake, or a module of this library, as a process of its own; say the command first."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gauntlet.cli.errors import INTERRUPTED, UsageMistake
from gauntlet.core.locations import PACKAGE, workflow_home

LIBRARY = PACKAGE.parent


def snakemake_words(
    files: Iterable[Path], cores: str | None, profile: str | None = None
) -> list[str]:
    """Give Snakemake's arguments for a run of this workflow in the working directory.

    Cores are all if nothing is said, and the profile's own if one is named.
    """
    home = workflow_home()
    words = [] if home == Path.cwd() else ["--snakefile", str(home / "Snakefile")]
    words += ["--profile", found_profile(profile)] if profile else []
    words += ["--cores", cores or "all"] if cores or not profile else []
    named = [str(file) for file in files]
    return [*words, *(["--configfile", *named] if named else [])]


def found_profile(profile: str) -> str:
    """Find a profile: a folder, or the name of one of Gauntlet's own."""
    own = workflow_home() / "profiles"
    if Path(profile).is_dir():
        return profile
    if (own / profile).is_dir():
        return str(own / profile)
    names = ", ".join(sorted(place.name for place in own.iterdir() if place.is_dir()))
    raise UsageMistake(f"--profile is '{profile}'; allowed are a folder and {names}.")


def run_snakemake(words: list[str], extra: Mapping[str, str] | None = None) -> int:
    """Start Snakemake with this interpreter, and more in its environment; gives its exit code."""
    say(["snakemake", *words])
    return _run([sys.executable, "-m", "snakemake", *words], extra or {})


def build_report(words: list[str]) -> int:
    """Let Snakemake build a report; what it says is shown only if it fails.

    Its captions bring a warning of docutils each, which is of no use to anybody.
    """
    say(["snakemake", *words])
    command = [sys.executable, "-m", "snakemake", *words]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stderr)
    return done.returncode


def run_module(module: str, words: list[str]) -> int:
    """Start a module of this library; gives its exit code."""
    say(["python", "-m", module, *words])
    return _run([sys.executable, "-m", module, *words], {})


def say(words: Sequence[str]) -> None:
    """Say on stderr which command does the same."""
    sys.stderr.write(f"$ {shlex.join(words)}\n")
    sys.stderr.flush()


def _run(command: list[str], extra: Mapping[str, str]) -> int:
    """Wait for a command, which gets the terminal's Ctrl-C itself; 130 if it ended by it."""
    paths = [str(LIBRARY), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, **extra, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        code = subprocess.run(command, env=environment, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)
    return INTERRUPTED if code == -signal.SIGINT else code if code >= 0 else 128 - code
