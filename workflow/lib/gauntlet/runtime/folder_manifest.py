"""A folder of many files as one input of a job: a table of their names, sizes and times."""

import hashlib
import os
from functools import cache
from pathlib import Path

from gauntlet.core.files import write_whole
from gauntlet.core.folder_listing import list_folder, manifest_text

KEPT = ".gauntlet/folders"  # below the working directory


@cache
def manifest_of(folder: str, refresh: bool = True) -> str:
    """Give the path of a folder's manifest, written again only if a file has changed.

    A file counts as changed if its name, size or time of change is another. A first manifest is as
    old as the last change in the folder, so that what was imported before stays up to date.
    Without `refresh` a manifest that exists is taken as it is: in a job, which planned nothing.
    """
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    path = Path(KEPT, f"{Path(folder).name}-{digest}.tsv")
    known = path.is_file()
    if known and not refresh:
        return str(path)
    listing = list_folder(folder)
    text = manifest_text(listing)
    if not known or path.read_bytes() != text:
        write_whole(path, lambda fresh: fresh.write_bytes(text))
        if not known:
            os.utime(path, ns=(listing.newest, listing.newest))
    return str(path)
