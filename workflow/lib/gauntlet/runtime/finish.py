"""What a run says when it has ended well: the tables of its studies, and where all lies."""

import atexit
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

WHOLE = {"all", "gates"}  # targets that stand for every study under `run`
TABLE = "GAUNTLET_TABLE"  # "off": who started this run shows the tables
_NOTED: dict = {}


def announce(folders: Iterable[str], targets: Callable[[], Iterable[str]]) -> None:
    """Note the folders of the studies under `run`, and how to ask for the run's own targets.

    The targets are not known yet while the workflow is read.
    """
    _NOTED.update(folders=tuple(folders), targets=targets)


def made_studies() -> list[str]:
    """Give the folders of the studies that this run makes, as far as they have a table.

    A run with targets of its own makes a study only if one of its files is among them.
    """
    folders, asked = _NOTED.get("folders", ()), set(_NOTED.get("targets", tuple)()) - WHOLE
    made = [folder for folder in folders if not asked or any(folder in path for path in asked)]
    return [folder for folder in made if Path(folder, "summary.json").is_file()]


def show_at_exit() -> None:
    """Show the tables when this process ends: after the last line of Snakemake's own log."""
    atexit.unregister(show)
    atexit.register(show)


def show() -> None:
    """Show the tables of the announced studies that are there, by a process that can load them."""
    folders = made_studies()
    if not folders or os.environ.get(TABLE) == "off":
        return
    library = str(Path(__file__).resolve().parents[2])
    paths = [library, os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-m", "gauntlet.reporting.terminal", *folders]
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    subprocess.run(command, env=environment, check=False)
