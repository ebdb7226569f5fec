"""A warm worker: one process that has imported PyTorch, and forks a child for every job.

Importing PyTorch takes about two seconds, as long as many jobs compute. The worker imports only
packages from outside, never this library, so that a job always runs the code on the disk. It is
started when a workflow starts on this machine, and ends with it. A job that finds no worker
(on a cluster, in a conda environment, on macOS) runs in its own process, with the same result.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from array import array
from pathlib import Path

ADDRESS = "GAUNTLET_WARM"  # "<interpreter>:<socket>" of the worker
PRELOAD = (
    "torch",
    "torch._dynamo",
    "pandas",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
)
SOCKET = 3  # place of the socket's path in a worker's command
LEAVE = 5.0  # seconds that an ending worker has
PATIENCE = 30.0  # seconds to wait for a worker that is starting
LENGTH = 8  # bytes that announce a message's length


def start() -> subprocess.Popen | None:
    """Start a worker for this process's jobs and put its address into the environment.

    Gives None where forking a loaded process is not safe, or where GAUNTLET_WARM is "off".
    """
    if sys.platform != "linux" or os.environ.get(ADDRESS) == "off":
        return None
    folder = tempfile.mkdtemp(prefix="gauntlet-")
    address = str(Path(folder) / "socket")
    os.environ[ADDRESS] = f"{sys.executable}:{address}"
    command = [sys.executable, "-m", "gauntlet.runtime.worker", address, str(os.getpid())]
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=environment, stdin=quiet, start_new_session=True)


def stop(worker: subprocess.Popen | None) -> None:
    """End the worker; running jobs are not its concern.

    One that is still importing can miss the signal that asks it to end, and is killed.
    """
    if worker is None:
        return
    worker.terminate()
    try:
        worker.wait(LEAVE)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()
    os.environ.pop(ADDRESS, None)
    shutil.rmtree(Path(worker.args[SOCKET]).parent, ignore_errors=True)


def forget() -> None:
    """Forget a worker that another process has started, as its jobs' environment names it."""
    if os.environ.get(ADDRESS) != "off":
        os.environ.pop(ADDRESS, None)


def delegate(task: dict) -> int | None:
    """Let the worker do a task: its exit code, or None if there is no worker to be had."""
    from gauntlet.core.progress import announce  # not before: the worker imports no library

    interpreter, _, address = os.environ.get(ADDRESS, "").rpartition(":")
    if interpreter != sys.executable or not _ready(address):
        return None
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(address)
        except OSError:
            return None
        message = json.dumps({"task": task, "environment": dict(os.environ)}).encode()
        streams = array("i", [sys.stdout.fileno(), sys.stderr.fileno()])
        line.sendmsg(
            [len(message).to_bytes(LENGTH, "big")],
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)],
        )
        line.sendall(message)
        answer = line.recv(1)
    if not answer:
        announce("ERROR: the job's process was killed (out of memory?)")
    return answer[0] if answer else 1


def _ready(address: str) -> bool:
    """Wait until a worker that is still importing opens its door; False if it is gone."""
    end = time.monotonic() + PATIENCE
    while os.path.isdir(os.path.dirname(address)) and time.monotonic() < end:
        if os.path.exists(address):
            return True
        time.sleep(0.05)
    return False


def serve(address: str, parent: int) -> None:
    """Fork a child for each task that comes in, until the parent process is gone."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        for module in PRELOAD:
            __import__(module)
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(address + ".new")
            door.listen(64)
            door.settimeout(1.0)
            os.rename(address + ".new", address)
            while os.getppid() == parent:
                _admit(door)
    finally:
        shutil.rmtree(Path(address).parent, ignore_errors=True)


def _admit(door: socket.socket) -> None:
    try:
        line, _ = door.accept()
    except TimeoutError:
        return
    if os.fork() == 0:
        door.close()
        _child(line)
    line.close()


def _child(line: socket.socket) -> None:
    """Do one task and end the process, whatever happens."""
    code = 1
    try:
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        line.settimeout(None)
        head, streams, _, _ = socket.recv_fds(line, LENGTH, 2)
        message = json.loads(_receive(line, int.from_bytes(head, "big")))
        for number, stream in zip((1, 2), streams, strict=True):
            os.dup2(stream, number)
        threading.Thread(target=_end_with, args=(line,), daemon=True).start()
        code = _perform(message)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        _leave(line, code)


def _leave(line: socket.socket, code: int) -> None:
    """Tell the launcher, if it is still there; never return into the worker's own code."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        line.send(bytes([code & 255]))
    finally:
        os._exit(code)


def _perform(message: dict) -> int:
    task = message["task"]
    os.environ.clear()
    os.environ.update(message["environment"])
    os.chdir(task["folder"])
    from importlib.util import module_from_spec, spec_from_file_location

    from gauntlet.runtime.job import perform

    plan = spec_from_file_location(task["stage"], task["script"])
    module = module_from_spec(plan)
    sys.path.append(str(Path(task["script"]).parent))
    plan.loader.exec_module(module)
    return perform(getattr(module, task["stage"]), task)


def _receive(line: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = line.recv(min(1 << 20, length - len(parts)))
        if not part:
            raise EOFError("the job's launcher went away")
        parts += part
    return bytes(parts)


def _end_with(line: socket.socket) -> None:
    """End this job when its launcher ends: Snakemake stops jobs by stopping launchers."""
    try:
        line.recv(1)
    except OSError:
        return
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
