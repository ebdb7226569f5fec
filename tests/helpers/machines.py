"""A machine with GPUs that do not exist, and jobs that lease them."""

import os
import select
import subprocess
import sys
import time
from pathlib import Path

from tests.helpers.places import LIBRARY

JOB = """
import logging, os, subprocess, sys
from gauntlet.runtime import gpu_leases
from gauntlet.core.errors import GauntletError
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
gpu_leases.FOLDER, gpu_leases.PAUSE, gpu_leases.PATIENCE = sys.argv[2], 0.05, float(sys.argv[3])
try:
    with gpu_leases.leased(int(sys.argv[1])) as devices:
        assert ",".join(devices) == os.environ.get("CUDA_VISIBLE_DEVICES", ""), devices
        if len(sys.argv) > 4:
            subprocess.Popen(["sleep", "30"], stdout=2)
            if os.fork() == 0:
                os.close(1)
                os.execvp("sleep", ["sleep", "30"]) if sys.argv[4] == "exec" else sys.stdin.read()
        print(",".join(devices), flush=True)
        sys.stdin.readline()
except GauntletError as error:
    print(error, flush=True)
"""
CUDA = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
SCHEDULED = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "KUBERNETES_SERVICE_HOST")


class Machine:
    """A machine with GPUs that do not exist, and jobs on it."""

    def __init__(self, folder: Path, used=(0, 0, 0, 0)):
        self.folder, self.jobs = folder, []
        (folder / "bin").mkdir()
        self.program = folder / "bin" / "nvidia-smi"
        self.use(*used)

    def use(self, *megabytes):
        """Say how much of each GPU's 1,000 MB others use."""
        rows = [f"{i}, GPU-{i:04d}-aa, {mb}, 1000" for i, mb in enumerate(megabytes)]
        fresh = self.program.with_suffix(".new")
        fresh.write_text("#!/bin/sh\ncat <<END\n" + "\n".join(rows) + "\nEND\n")
        fresh.chmod(0o755)
        fresh.rename(self.program)

    def job(self, gpus=1, *, patience=600, cwd=None, spawn=(), **environment):
        clean = {k: v for k, v in os.environ.items() if k not in (*SCHEDULED, *CUDA)}
        clean |= {"PATH": f"{self.program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(LIBRARY)}
        command = [sys.executable, "-c", JOB, str(gpus), str(self.folder / "leases"), str(patience)]
        pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
        with open(self.folder / f"log{len(self.jobs)}", "w") as log:
            job = subprocess.Popen(
                [*command, *spawn],
                env=clean | environment,
                **pipes,
                stderr=log,
                text=True,
                cwd=cwd,
                start_new_session=True,
            )
        self.jobs.append(job)
        return job

    def log(self, number):
        return (self.folder / f"log{number}").read_text()

    def tells(self, number, text):
        """Wait until a job's log holds a text."""
        end = time.monotonic() + 60
        while text not in self.log(number) and time.monotonic() < end:
            time.sleep(0.02)
        return text in self.log(number)


def said(job, seconds=60):
    """Give the devices that a job has, or its error; None if it says nothing in that time."""
    ready, _, _ = select.select([job.stdout], [], [], seconds)
    return job.stdout.readline().strip() if ready else None


def end(job):
    job.stdin.write("\n")
    job.stdin.close()
    assert job.wait(30) == 0


def uuids(*numbers):
    return ",".join(f"GPU-{number:04d}-aa" for number in numbers)
