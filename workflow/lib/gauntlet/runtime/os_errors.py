"""What the machine can do to a job, in one sentence: a full disk, a file that has gone."""

import errno
import os
import re

NO_ROOM = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}
SHORT = re.compile(r"\d+ requested and \d+ written")  # numpy's word for a full disk


def sentence(error: OSError, task: dict) -> str | None:
    """Say what befell a job that read `task["inputs"]` and wrote its outputs; None if unknown."""
    named = error.filename or next(iter(task["outputs"].values()), "a file")
    if error.errno in NO_ROOM or SHORT.search(str(error)):
        return f"{named} cannot be written: no space is left on its disk; free some and run again."
    if error.errno in FORBIDDEN:
        reason = os.strerror(error.errno).lower()
        return f"{named} cannot be used ({reason}); allowed are files and folders open to you."
    if error.errno == errno.ENOENT and error.filename:
        return f"{named} has gone while the job ran; run again, and it is made again if it can be."
    if error.errno == errno.EIO:
        return f"{named} cannot be read or written (input/output error); its disk needs a look."
    return None
