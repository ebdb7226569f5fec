"""Errors of the operating system in one sentence: a full disk, a missing file."""

import errno
import os
import re

NO_ROOM = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}
SHORT = re.compile(r"\d+ requested and \d+ written")  # numpy's message of a full disk


def sentence(error: OSError, task: dict) -> str | None:
    """Say what went wrong for a job with these `task["outputs"]`; None if the error is unknown."""
    named = error.filename or next(iter(task["outputs"].values()), "a file")
    if error.errno in NO_ROOM or SHORT.search(str(error)):
        return f"{named} cannot be written: no space is left on its disk; free some and run again."
    if error.errno in FORBIDDEN:
        reason = os.strerror(error.errno).lower()
        return f"{named} cannot be used ({reason}); allowed is what you may read and write."
    if error.errno == errno.ENOENT and error.filename:
        return f"{named} was removed while the job ran; run again to make it anew, if possible."
    if error.errno == errno.EIO:
        return f"{named} cannot be read or written (input/output error); check its disk."
    return None
