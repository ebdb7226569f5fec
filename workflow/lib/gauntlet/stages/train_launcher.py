"""A training that several processes share, started by torchrun and watched by the job.

All processes run on this machine: they find one another through files and talk over the loopback
device, or between GPUs. They end when the job ends, however it ends.
"""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from gauntlet.core.errors import GauntletError
from gauntlet.core.signals import STOP_SIGNALS, Saved, Stop
from gauntlet.stages.train_messages import Reports
from gauntlet.stages.train_worker import OUTCOME, PLAN, SOCKET
from gauntlet.training.loop import NonFiniteLoss, Outcome

logger = logging.getLogger(__name__)
LOOK = 0.2  # seconds between two looks at signals and at torchrun
LEAVE = 60.0  # seconds that processes have to end when all is done
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
LONGEST = 60  # characters of a folder in which a socket's path is short enough


def fit_shared(files: dict, spec: dict, keep: Path | None) -> Outcome:
    """Train as `train.fit_files` does, in `training.devices` processes, each on its own device.

    A signal that asks to stop is passed on. Raises what the processes raise: GauntletError,
    NonFiniteLoss, Saved; RuntimeError for anything else that ends one of them.
    """
    count = spec["training"]["devices"]
    _require_devices(spec["device"], count)
    with _folder() as folder, Stop() as stop, socket.socket(socket.AF_UNIX) as listener:
        plan = {"files": files, "spec": spec, "keep": keep and str(Path(keep).resolve())}
        (folder / PLAN).write_text(json.dumps(plan), encoding="utf-8")
        listener.bind(str(folder / SOCKET))
        listener.listen(count)
        with Reports(listener) as reports, _torchrun(folder, count, spec["threads"]) as agent:
            report = _watch(reports, agent, stop, folder)
        return _result(report, folder)


def _require_devices(device: str, count: int) -> None:
    there = {"cpu": count, "cuda": torch.cuda.device_count()}.get(device, 1)
    if there < count:
        raise GauntletError(
            f"training.devices is {count}, but this job has {there} of kind {device}; allowed are "
            "as many as the profile's gpu and the machine grant."
        )


@contextmanager
def _folder() -> Iterator[Path]:
    short = len(tempfile.gettempdir()) <= LONGEST
    home = None if short else "/tmp"
    with tempfile.TemporaryDirectory(
        prefix="gauntlet-", dir=home, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


@contextmanager
def _torchrun(folder: Path, count: int, threads: int) -> Iterator[subprocess.Popen]:
    """Start the processes, with what they print in a file; they end when their connections close.

    Signals that ask to stop are blocked in them, since a scheduler can send one to all processes
    of a job: it is the job that passes them on, once.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes=1"]
    command += [f"--nproc-per-node={count}", "--max-restarts=0", "--local-addr=127.0.0.1"]
    command += ["--rdzv-backend=c10d", "--rdzv-id=gauntlet", "--rdzv-conf=store_type=file"]
    command += [f"--rdzv-endpoint={folder / 'rendezvous'}"]
    command += ["-m", "gauntlet.stages.train_worker", str(folder)]
    with open(folder / "printed", "wb") as printed, _blocked(STOP_SIGNALS):
        agent = subprocess.Popen(
            command,
            env=_environment(threads),
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            start_new_session=True,
        )
    try:
        yield agent
    finally:
        agent.kill()
        agent.wait()


@contextmanager
def _blocked(names: tuple[str, ...]) -> Iterator[None]:
    """Block signals in what is started meanwhile; here they wait."""
    numbers = {getattr(signal, name) for name in names if hasattr(signal, name)}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _environment(threads: int) -> dict[str, str]:
    library = str(Path(__file__).resolve().parents[2])
    paths = [library, os.environ.get("PYTHONPATH", "")]
    own = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": str(threads)}
    own |= {"GLOO_SOCKET_IFNAME": LOOPBACK, "NCCL_SOCKET_IFNAME": LOOPBACK}
    return {**os.environ, **own, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}


def _watch(reports: Reports, agent: subprocess.Popen, stop: Stop, folder: Path) -> dict:
    """Pass on signals and log lines until the training has ended; gives its report."""
    while reports.end is None and agent.poll() is None:
        reports.listen(LOOK)
        if stop:
            reports.pass_on(stop.number)
    if reports.end is None:
        reports.listen(0)
    if reports.end is None:
        printed = (folder / "printed").read_text(encoding="utf-8", errors="replace")
        error = RuntimeError("the processes of a shared training ended without a report")
        error.add_note(printed[-4000:])
        raise error
    if "failed" not in reports.end:
        with suppress(subprocess.TimeoutExpired):
            agent.wait(LEAVE)
    return reports.end


def _result(report: dict, folder: Path) -> Outcome:
    if "failed" in report:
        if report["ours"]:
            raise GauntletError(report["failed"])
        error = RuntimeError(f"process {report['rank']} of a shared training: {report['failed']}")
        error.add_note(report["trace"])
        raise error
    if "stopped" in report:
        raise Saved(report["stopped"])
    outcome = Outcome(**torch.load(folder / OUTCOME, map_location="cpu", weights_only=True))
    if "not_finite" in report:
        raise NonFiniteLoss(report["not_finite"], outcome)
    return outcome
