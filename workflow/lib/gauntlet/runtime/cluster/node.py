"""Where Snakemake sends jobs to other machines: what it and its helpers on the nodes see to."""

import os
import re
import signal
import subprocess
from pathlib import Path

from gauntlet.runtime import worker as warm

WARNING = getattr(signal, "SIGUSR1", None)  # from a scheduler: the time limit is near
JOB = "SLURM_JOB_ID"
OWNER = "GAUNTLET_WARM_JOB"  # the job whose tasks may use the worker that the environment names
PATIENCE = 10  # seconds that the controller has to answer
NO_ACCOUNTS = re.compile(r"^AccountingStorageType\s*=\s*(accounting_storage/none|\(null\))", re.M)


def settle_on_node(sharing: bool) -> subprocess.Popen | None:
    """See to what Snakemake's helper on a node needs; give the worker that it has started, if any.

    A scheduler warns all processes of a job. The stage saves what it has and ends; Snakemake and
    the shell between them ignore the warning, or nobody would tell how the stage ended.

    Whatever worker belongs to the process that sent this job must stay out of reach, even on the
    same machine. Where tasks share a job (`sharing`), they share a worker, and helpers further
    down keep that of their own job.
    """
    if WARNING:
        signal.signal(WARNING, signal.SIG_IGN)
    job = os.environ.get(JOB)
    if job is None or os.environ.get(OWNER) != job:
        os.environ.pop(OWNER, None)
        warm.forget()
    if job is None or not sharing:
        return None
    os.environ[OWNER] = job
    return warm.start()


def answer_for_sacct(folder: Path) -> None:
    """Put a folder with a stand-in for sacct first in PATH, where Slurm keeps no accounts."""
    try:
        asked = ["scontrol", "show", "config"]
        told = subprocess.run(asked, capture_output=True, text=True, timeout=PATIENCE).stdout
    except (OSError, subprocess.TimeoutExpired):
        return
    if NO_ACCOUNTS.search(told):
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
