"""What Snakemake and its helpers on the nodes need where jobs go to other machines."""

import os
import re
import signal
import subprocess
from pathlib import Path

from gauntlet.runtime import worker

WARNING = getattr(signal, "SIGUSR1", None)  # from a scheduler: the time limit is near
JOB = "SLURM_JOB_ID"
OWNER = "GAUNTLET_WARM_JOB"  # the job whose tasks may use the worker that the environment names
PATIENCE = 10  # seconds that the controller has to answer
NO_ACCOUNTS = re.compile(r"^AccountingStorageType\s*=\s*(accounting_storage/none|\(null\))", re.M)


def settle_on_node(sharing: bool) -> subprocess.Popen | None:
    """Prepare Snakemake's helper on a node; give the worker that was started for it, if any.

    A scheduler sends its warning to all processes of a job. The stage saves what it has and ends.
    Snakemake and the shell between them ignore the warning: they must report how the stage ended.

    A job must not use the worker of the process that sent it, even on the same machine. Tasks that
    share a job (`sharing`) share one worker; helpers that they start use the worker of their job.
    """
    if WARNING:
        signal.signal(WARNING, signal.SIG_IGN)
    job = os.environ.get(JOB)
    if job is None or os.environ.get(OWNER) != job:
        os.environ.pop(OWNER, None)
        worker.forget()
    if job is None or not sharing:
        return None
    os.environ[OWNER] = job
    return worker.start()


def answer_for_sacct(folder: Path) -> None:
    """Put a folder with a stand-in for sacct first in PATH, where Slurm keeps no accounts."""
    try:
        asked = ["scontrol", "show", "config"]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=PATIENCE).stdout
    except (OSError, subprocess.TimeoutExpired):
        return
    if NO_ACCOUNTS.search(answer):
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
