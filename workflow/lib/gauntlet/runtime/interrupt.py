"""Ctrl-C on a run: jobs end at a good place, one line is said, the exit code is 130.

A terminal sends SIGINT to every process of the run. Jobs ignore it (see `SHELL_PREFIX`), so that
none of them ends with a traceback; this process asks each of them to stop by SIGTERM, on which a
job saves what it has.
"""

import atexit
import os
import signal
import sys
import threading
import time
from contextlib import suppress

HAPPENED = "GAUNTLET_INTERRUPTED"  # set in the environment once a run is interrupted
SHELL_PREFIX = "set -euo pipefail; trap '' INT; "  # Snakemake's own, and SIGINT ignored
LINE = "Interrupted; run again to continue."
AGAIN = "The jobs are asked to stop; press Ctrl-C once more to leave at once."
EVERY = 0.2  # seconds between two looks for jobs that still run


def install() -> bool:
    """Take Ctrl-C over in this process; False if it is ignored or not this thread's to handle."""
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if usual and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _first)
        return True
    return False


def _first(number, frame) -> None:
    """Ask all jobs to stop, and let Snakemake end as it does on an interrupt."""
    signal.signal(signal.SIGINT, _second)
    os.environ[HAPPENED] = "yes"
    atexit.register(_leave)
    threading.Thread(target=_stop_jobs, daemon=True).start()
    raise KeyboardInterrupt


def _second(number, frame) -> None:
    """Say what the run waits for; the next one ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.write(2, f"\n{AGAIN}\n".encode())


def _stop_jobs() -> None:
    """Ask each job of this process to stop, also one that starts only now."""
    import psutil  # Snakemake needs it too

    asked, scripts = set(), os.path.join(".snakemake", "scripts")
    while True:
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if process not in asked and any(scripts in word for word in process.cmdline()):
                    asked.add(process)
                    process.terminate()
        time.sleep(EVERY)


def _leave() -> None:
    """Say the line, and end by the signal itself: shells and make see an interrupt."""
    sys.stdout.flush()
    sys.stderr.write(f"{LINE}\n")
    sys.stderr.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
