"""What the machine can do to a job, in one sentence: a full disk, a file that has gone."""

import errno
import os
import shutil
from pathlib import Path

NO_ROOM = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}
LITTLE = 1 << 16  # bytes; libraries that write in blocks leave less than this when a disk is full


def sentence(error: OSError, task: dict) -> str | None:
    """Say what befell a job that read `task["inputs"]` and wrote its outputs; None if unknown."""
    where = Path(next(iter(task["outputs"].values()), "."))
    named = error.filename or error.filename2 or where
    if error.errno in NO_ROOM or (error.errno is None and _is_full(where.parent)):
        return f"{named} cannot be written: no space is left on its disk; free some and run again."
    if error.errno in FORBIDDEN:
        reason = os.strerror(error.errno).lower()
        return f"{named} cannot be used ({reason}); allowed are files and folders open to you."
    if error.errno == errno.ENOENT and error.filename:
        return f"{named} has gone while the job ran; run again, and it is made again if it can be."
    if error.errno == errno.EIO:
        return f"{named} cannot be read or written (input/output error); its disk needs a look."
    return None


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < LITTLE
    except OSError:
        return False
