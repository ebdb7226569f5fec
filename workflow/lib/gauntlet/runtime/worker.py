"""A warm worker: one process that has imported PyTorch, and forks a child for every job.

Importing PyTorch takes about two seconds, as long as many jobs compute. The worker imports only
packages from outside, never this library, so that a job always runs the code on the disk. It is
started when a workflow starts on this machine, and ends with it. A job that finds no worker
(on a cluster, in a conda environment, on macOS) runs in its own process, with the same result.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from importlib import import_module
from multiprocessing import AuthenticationError, reduction
from multiprocessing.connection import Client, Connection, answer_challenge, deliver_challenge
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
KEY = "key"  # file beside the socket: what launchers and workers prove to each other to have
LONGEST = 60  # characters of a temporary directory in which a socket's path is not too long
LEAVE = 5.0  # seconds that an ending worker has
PATIENCE = 30.0  # seconds to wait for a worker that is starting


def start() -> subprocess.Popen | None:
    """Start a worker for this process's jobs and put its address into the environment.

    Gives None where forking a loaded process is not safe, or where GAUNTLET_WARM is "off".
    """
    if sys.platform != "linux" or os.environ.get(ADDRESS) == "off":
        return None
    short = len(tempfile.gettempdir()) <= LONGEST
    folder = tempfile.mkdtemp(prefix="gauntlet-", dir=None if short else "/tmp")
    address = str(Path(folder) / "socket")
    key = Path(folder, KEY)
    key.touch(0o600)
    key.write_bytes(secrets.token_bytes(32))
    os.environ[ADDRESS] = f"{sys.executable}:{address}"
    command = [sys.executable, "-m", "gauntlet.runtime.worker", address, str(os.getpid())]
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=environment, stdin=quiet, start_new_session=True)


def stop(worker: subprocess.Popen | None) -> None:
    """End the worker; running jobs go on.

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


def delegate(entry: str, task: dict) -> int | None:
    """Let the worker call `entry` ("module:function") with a task: its exit code.

    Gives None if no worker can be reached.
    """
    from gauntlet.core.progress import announce  # not before: the worker imports no library

    interpreter, _, address = os.environ.get(ADDRESS, "").rpartition(":")
    if interpreter != sys.executable or not _ready(address):
        return None
    try:
        connection = Client(address, "AF_UNIX", authkey=_key(address))
    except (OSError, EOFError, AuthenticationError):
        return None
    message = {"entry": entry, "task": task, "environment": dict(os.environ)}
    with connection:
        try:
            connection.send_bytes(json.dumps(message).encode())
            for stream in (sys.stdout, sys.stderr):
                reduction.send_handle(connection, stream.fileno(), None)
            return connection.recv_bytes()[0]
        except (EOFError, OSError):
            announce("ERROR: the job's process was killed (out of memory?)")
            return 1


def _key(address: str) -> bytes:
    return Path(address).with_name(KEY).read_bytes()


def _ready(address: str) -> bool:
    """Wait until a worker that is still importing has its socket; False if it is gone."""
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
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address + ".new")
            listener.listen(64)
            listener.settimeout(1.0)
            os.rename(address + ".new", address)
            while os.getppid() == parent:
                _accept(listener, address)
    finally:
        shutil.rmtree(Path(address).parent, ignore_errors=True)


def _accept(listener: socket.socket, address: str) -> None:
    """Fork a child for a launcher that connects; return after a second without one."""
    try:
        accepted, _ = listener.accept()
    except TimeoutError:
        return
    if os.fork() == 0:
        listener.close()
        accepted.setblocking(True)
        _child(Connection(accepted.detach()), address)
    accepted.close()


def _child(connection: Connection, address: str) -> None:
    """Do one task and end the process, whatever happens."""
    code = 1
    try:
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        message = _receive(connection, _key(address))
        threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
        code = _perform(message)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        _leave(connection, code)


def _receive(connection: Connection, key: bytes) -> dict:
    """Authenticate the launcher, take its message, and write to its streams from now on."""
    deliver_challenge(connection, key)
    answer_challenge(connection, key)
    message = json.loads(connection.recv_bytes())
    for number in (1, 2):
        stream = reduction.recv_handle(connection)
        os.dup2(stream, number)
        os.close(stream)
    return message


def _perform(message: dict) -> int:
    os.environ.clear()
    os.environ.update(message["environment"])
    os.chdir(message["task"]["folder"])
    module, _, function = message["entry"].partition(":")
    return getattr(import_module(module), function)(message["task"])


def _end_with(connection: Connection) -> None:
    """End this job when its launcher ends: Snakemake stops jobs by stopping launchers."""
    try:
        connection.poll(None)
    except OSError:
        return
    os.kill(os.getpid(), signal.SIGTERM)


def _leave(connection: Connection, code: int) -> None:
    """Send the exit code to the launcher, if it lives; never return into the worker's own code."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.send_bytes(bytes([code & 255]))
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
