"""Start Snakemake on a cluster, safely also after it was killed.

python -m gauntlet.runtime.cluster.launch [--orphans wait|cancel] [--every SECONDS] -- <arguments>

After a SIGKILL, jobs of the killed Snakemake may still run: orphans. Unlocking the folder would
submit each unfinished job a second time. So the launcher first makes sure that no other Snakemake
works in the folder; then it waits for the orphans or cancels them, records what they finished,
unlocks the folder, runs Snakemake and shows its progress.
"""

import argparse
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from gauntlet.core.errors import GauntletError
from gauntlet.runtime.cluster import (
    job_names,
    processes,
    slurm_queue,
    snakemake_private,
    snakemake_records,
    status,
)
from gauntlet.runtime.cluster.folder_lock import Claim

FORWARDED = (signal.SIGINT, signal.SIGTERM)
TICK = 1.0  # seconds between two checks whether Snakemake still runs
QUIET = 3.0  # seconds after which an empty queue must still be empty
DIE_WITH_PARENT = 1  # Linux's PR_SET_PDEATHSIG
SNAKEMAKE = (sys.executable, "-m", "snakemake")


def main(arguments: list[str]) -> int:
    """Run the launcher; give Snakemake's exit code, or 1 after an error in one sentence."""
    options = _options(arguments)
    folder = snakemake_private.directory(options.snakemake)
    try:
        if not slurm_queue.installed():
            raise GauntletError(
                "squeue and scancel are not on PATH; the launcher is for machines that submit to "
                "Slurm, elsewhere start snakemake itself."
            )
        os.makedirs(folder, exist_ok=True)
        with Claim(folder) as claim:
            processes.require_alone(folder)
            settle_orphans(folder, options.orphans, options.every, claim)
            take_over(folder, options.snakemake)
            return run(folder, options.snakemake, options.every, claim)
    except GauntletError as error:
        _say(f"{error}")
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def settle_orphans(folder: str, how: str, every: float, claim: Claim) -> None:
    """Wait until no job of the folder is left in the queue or on this machine, or cancel them."""
    prefix, shown, calm = job_names.prefix(folder), 0.0, False
    while True:
        queued = slurm_queue.jobs(prefix)
        local = processes.job_processes(folder, prefix)
        if not queued and not local:
            if calm:
                return
            calm = True  # a job that was being submitted when Snakemake was killed may still arrive
            time.sleep(QUIET)
            continue
        calm = False
        if how == "cancel":
            end(queued, local)
        if time.monotonic() - shown >= every or not shown:
            shown = time.monotonic()
            _say(_orphans(queued, local, how))
        claim.beat()
        time.sleep(slurm_queue.PAUSE)


def end(queued: Sequence[slurm_queue.Queued], local: Sequence[processes.Process]) -> None:
    """Cancel jobs in the queue, and ask processes of jobs on this machine to end."""
    slurm_queue.cancel(job.number for job in queued)
    for process in local:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, signal.SIGTERM)


def take_over(folder: str, arguments: Sequence[str]) -> None:
    """Record what finished without a Snakemake, and remove the locks of a killed one."""
    adopted = snakemake_records.adopt(folder)
    if adopted.whole or adopted.doubtful:
        _say(
            f"{adopted.whole} files that finished while no Snakemake was running are whole and "
            f"are kept, {adopted.doubtful} are made again."
        )
    if snakemake_private.is_locked(folder):
        command = [*SNAKEMAKE, *_before_targets(arguments), "--unlock"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode:
            sys.stderr.write(done.stdout + done.stderr)
            raise GauntletError(
                f"{folder} could not be unlocked; the lines above are Snakemake's own message."
            )


def run(folder: str, arguments: Sequence[str], every: float, claim: Claim) -> int:
    """Run Snakemake, pass signals on to it, and show its progress now and then."""
    process = subprocess.Popen(
        [*SNAKEMAKE, *arguments], start_new_session=True, preexec_fn=_end_with_launcher
    )
    before = {n: signal.signal(n, lambda n, _: pass_on(process, n)) for n in FORWARDED}
    shown = time.monotonic()
    try:
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TICK)
            claim.beat()
            if time.monotonic() - shown >= every and process.poll() is None:
                sys.stderr.write(f"\n{status.block(folder)}\n\n")
                shown = time.monotonic()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    code = process.returncode
    return 128 - code if code < 0 else code


def pass_on(process: subprocess.Popen, number: int) -> None:
    """Pass a signal to Snakemake; an interrupt also reaches its jobs, as from a terminal."""
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)


def _options(arguments: list[str]) -> argparse.Namespace:
    own, line, rest = arguments, None, []
    if "--" in arguments:
        line = arguments.index("--")
        own, rest = arguments[:line], arguments[line + 1 :]
    parser = argparse.ArgumentParser(
        prog="python -m gauntlet.runtime.cluster.launch",
        usage="%(prog)s [--orphans wait|cancel] [--every SECONDS] -- <arguments>",
        description="Start Snakemake on a cluster, safely also after it was killed.",
    )
    parser.add_argument(
        "--orphans",
        choices=("wait", "cancel"),
        default="wait",
        help="what happens to jobs of a killed Snakemake that are still in the queue",
    )
    parser.add_argument(
        "--every", type=float, default=60.0, metavar="SECONDS", help="how often progress is shown"
    )
    options = parser.parse_args(own)
    if line is None or not rest:
        parser.error("Snakemake's arguments are missing; allowed are arguments after --")
    options.snakemake = rest
    return options


def _orphans(queued: Sequence, local: Sequence, how: str) -> str:
    waiting = sum(job.waiting for job in queued)
    parts = [f"{len(queued) - waiting} running and {waiting} waiting in the queue"]
    parts += [f"{len(local)} processes on this machine"] if local else []
    what = {"wait": "waiting for them to end (--orphans cancel ends them)", "cancel": "canceling"}
    return f"jobs of an earlier run are left, {', '.join(parts)}: {what[how]}."


def _before_targets(arguments: Sequence[str]) -> list[str]:
    """Leave out the targets after another `--`, after which Snakemake reads no options."""
    arguments = list(arguments)
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _end_with_launcher() -> None:
    """Let the kernel end Snakemake if the launcher is killed: its claim must not outlive it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)


def _say(text: str) -> None:
    sys.stderr.write(f"gauntlet: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
