"""How the jobs of one folder are named in a scheduler's queue. Standard library only."""

import hashlib
import os


def prefix(folder: str) -> str:
    """Give the beginning of the names of all jobs that the workflow submits from one folder.

    Two folders have two prefixes, and a folder has one whatever path leads to it.
    """
    return "gauntlet-" + hashlib.sha256(os.path.realpath(folder).encode()).hexdigest()[:8]
