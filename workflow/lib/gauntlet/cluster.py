"""Where Snakemake sends jobs to other machines: what it and its helpers on the nodes see to."""

import os
import re
import signal
import subprocess
from pathlib import Path

from gauntlet import warm

WARNING = getattr(signal, "SIGUSR1", None)  # from a scheduler: the time limit is near
PATIENCE = 10  # seconds that the controller has to answer
NO_ACCOUNTS = re.compile(r"^AccountingStorageType\s*=\s*(accounting_storage/none|\(null\))", re.M)


def settle_on_node() -> None:
    """Make this process, Snakemake's helper on a node, outlive a warning that is for its job.

    A scheduler warns all processes of a job. The stage saves what it has and ends; Snakemake and
    the shell between them have to stay, or nobody would tell how it ended. Whatever worker
    belongs to the process that sent this job is out of reach here, even on the same machine.
    """
    if WARNING:
        signal.signal(WARNING, signal.SIG_IGN)
    warm.forget()


def answer_for_sacct(folder: Path) -> None:
    """Put a folder with a stand-in for sacct first in PATH, where Slurm keeps no accounts."""
    try:
        asked = ["scontrol", "show", "config"]
        told = subprocess.run(asked, capture_output=True, text=True, timeout=PATIENCE).stdout
    except (OSError, subprocess.TimeoutExpired):
        return
    if NO_ACCOUNTS.search(told):
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
