"""One process of a shared training: `python -m gauntlet.stages.train_worker FOLDER`.

torchrun starts it. It reports to the job that started torchrun, and takes signals from it, over a
socket.
"""

import json
import logging
import os
import sys
import threading
import traceback
from multiprocessing.connection import Client
from pathlib import Path

import torch
from torch import distributed

from gauntlet.core.device import prepare
from gauntlet.core.errors import GauntletError
from gauntlet.core.signals import Saved
from gauntlet.stages.train import fit_files
from gauntlet.training.data_parallel import DataParallel
from gauntlet.training.loop import NonFiniteLoss, Outcome

SOCKET, PLAN, OUTCOME, STORE = "socket", "plan.json", "outcome.pt", "store"  # in the folder


class Job:
    """The connection to the job: reports go out; what comes in is a signal to stop.

    When it breaks, the job is gone, and this process ends at once.
    """

    def __init__(self, address: str):
        self._signal = 0
        self._connection = Client(address, "AF_UNIX")
        threading.Thread(target=self._receive, daemon=True).start()

    def report(self, **report) -> None:
        """Report one thing to the job."""
        self._connection.send_bytes(json.dumps(report).encode())

    def signal(self) -> int:
        """Give the signal that the job was asked to stop with, or 0."""
        return self._signal

    def _receive(self) -> None:
        while True:
            try:
                self._signal = self._connection.recv_bytes()[0]
            except (EOFError, OSError):
                os._exit(1)


class _Relay(logging.Handler):
    """Let the job write what is logged here."""

    def __init__(self, job: Job):
        super().__init__(logging.INFO)
        self.job = job

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self.job.report(log={"name": record.name, "level": record.levelno, "text": text})


def main(folder: Path) -> int:
    """Do this process's part of the training in the folder's plan; gives the exit code.

    The first process writes the outcome and reports how it came about; any reports its failure.
    """
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    job = Job(str(folder / SOCKET))
    job.report(rank=rank)
    _log_to(job if rank == 0 else None)
    try:
        _train(folder, rank, size, job)
        return 0
    except Exception as error:
        name = "" if isinstance(error, GauntletError) else f"{type(error).__name__}: "
        job.report(failed=f"{name}{error}", ours=not name, trace=traceback.format_exc())
        return 1


def _train(folder: Path, rank: int, size: int, job: Job) -> None:
    plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    device = _prepare(plan["spec"])
    store = distributed.FileStore(str(folder / STORE), size)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size)
    outcome, report = _fit(plan, device, DataParallel(rank, size, job.signal))
    if rank == 0:
        torch.save(vars(outcome), folder / OUTCOME)
        job.report(**report)
    distributed.barrier()
    distributed.destroy_process_group()


def _fit(plan: dict, device: torch.device, processes: DataParallel) -> tuple[Outcome, dict]:
    """Give the outcome and how it came about: ends that all processes come to together."""
    keep = Path(plan["keep"]) if plan["keep"] else None
    try:
        return fit_files(plan["files"], plan["spec"], keep, device, processes), {"done": True}
    except NonFiniteLoss as error:
        return error.outcome, {"not_finite": error.epoch}
    except Saved as end:
        return Outcome(), {"stopped": end.code - 128}


def _prepare(spec: dict) -> torch.device:
    if spec["device"] == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return prepare(spec)


def _log_to(job: Job | None) -> None:
    logger = logging.getLogger("gauntlet")
    logger.handlers[:] = [logging.NullHandler() if job is None else _Relay(job)]
    logger.setLevel(logging.INFO)
    logger.propagate = False


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
