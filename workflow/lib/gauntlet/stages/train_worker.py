"""One process of a shared training: `python -m gauntlet.stages.train_worker FOLDER`.

torchrun starts it; the job that started torchrun hears from it, and it from the job, on a line.
"""

import json
import logging
import os
import socket
import sys
import threading
import traceback
from pathlib import Path

import torch
from torch import distributed

from gauntlet.core.device import prepare
from gauntlet.core.errors import GauntletError
from gauntlet.core.signals import Saved
from gauntlet.stages.train import fit_files
from gauntlet.training.data_parallel import DataParallel
from gauntlet.training.loop import NonFiniteLoss, Outcome

SOCKET, PLAN, OUTCOME, STORE = "line", "plan.json", "outcome.pt", "store"  # in the folder


class Line:
    """The connection to the job: reports go out; a byte that comes in is a signal to stop.

    When it breaks, the job is gone, and this process ends at once.
    """

    def __init__(self, address: str):
        self.signal = 0
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(address)
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, **report) -> None:
        """Report one thing to the job."""
        self._socket.sendall(json.dumps(report).encode() + b"\n")

    def told(self) -> int:
        """Give the signal that the job was asked to stop with, or 0."""
        return self.signal

    def _listen(self) -> None:
        while True:
            try:
                heard = self._socket.recv(1)
            except OSError:
                heard = b""
            if not heard:
                os._exit(1)
            self.signal = heard[0]


class _Relay(logging.Handler):
    """Let the job write what is logged here."""

    def __init__(self, line: Line):
        super().__init__(logging.INFO)
        self.line = line

    def emit(self, record: logging.LogRecord) -> None:
        self.line.tell(log=[record.name, record.levelno, record.getMessage()])


def main(folder: Path) -> int:
    """Do this process's part of the training in the folder's plan; gives the exit code.

    The first process writes the outcome and reports how it came about; any reports its failure.
    """
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    line = Line(str(folder / SOCKET))
    line.tell(rank=rank)
    _log_to(line if rank == 0 else None)
    try:
        _train(folder, rank, size, line)
        return 0
    except Exception as error:
        name = "" if isinstance(error, GauntletError) else f"{type(error).__name__}: "
        line.tell(failed=f"{name}{error}", ours=not name, trace=traceback.format_exc())
        return 1


def _train(folder: Path, rank: int, size: int, line: Line) -> None:
    plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    device = _prepare(plan["spec"])
    store = distributed.FileStore(str(folder / STORE), size)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size)
    outcome, report = _fit(plan, device, DataParallel(rank, size, line.told))
    if rank == 0:
        torch.save(vars(outcome), folder / OUTCOME)
        line.tell(**report)
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


def _log_to(line: Line | None) -> None:
    logger = logging.getLogger("gauntlet")
    logger.handlers[:] = [logging.NullHandler() if line is None else _Relay(line)]
    logger.setLevel(logging.INFO)
    logger.propagate = False


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
