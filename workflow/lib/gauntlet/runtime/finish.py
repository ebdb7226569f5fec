"""What a run says when it has ended well: the tables of its studies, and where all lies."""

import atexit
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

STUDIES = "GAUNTLET_STUDIES"  # folders of the studies that a run is asked for
WHOLE = {"all", "gates"}  # targets that stand for every study under `run`


def announce(folders: Iterable[str], targets: Iterable[str]) -> None:
    """Note the folders of the studies that a run makes.

    A run with targets of its own makes a study only if one of its files is among them.
    """
    asked = set(targets) - WHOLE
    made = [folder for folder in folders if not asked or any(folder in path for path in asked)]
    os.environ[STUDIES] = os.pathsep.join(os.path.abspath(folder) for folder in made)


def show_at_exit() -> None:
    """Show the tables when this process ends: after the last line of Snakemake's own log."""
    atexit.unregister(show)
    atexit.register(show)


def show() -> None:
    """Show the tables of the announced studies that are there, by a process that can load them."""
    noted = os.environ.get(STUDIES, "").split(os.pathsep)
    folders = [folder for folder in noted if folder and Path(folder, "summary.csv").is_file()]
    if not folders:
        return
    library = str(Path(__file__).resolve().parents[2])
    paths = [library, os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    here = [os.path.relpath(folder) for folder in folders]
    command = [sys.executable, "-m", "gauntlet.reporting.terminal", *here]
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    subprocess.run(command, env=environment, check=False)
