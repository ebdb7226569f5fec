"""The GPUs that a job may choose from, and how full they are. Standard library only."""

import csv
import logging
import os
import re
import shutil
import subprocess
from typing import NamedTuple

from gauntlet.core.errors import GauntletError

logger = logging.getLogger(__name__)
VISIBLE = "CUDA_VISIBLE_DEVICES"
# Variables in which schedulers name the job; what they assign is the job's own.
JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "KUBERNETES_SERVICE_HOST")
QUERY = ("--query-gpu=index,uuid,memory.used,memory.total", "--format=csv,noheader,nounits")
COLUMNS = 4
LONGEST = 60  # seconds that nvidia-smi may take


class Device(NamedTuple):
    """A GPU: the id that CUDA knows, its lock's name, memory in MB (0 if unknown)."""

    id: str
    lock: str
    name: str
    used: int = 0
    total: int = 0

    @property
    def share(self) -> float:
        """The share of the memory that is in use."""
        return self.used / self.total if self.total else 0.0


Inventory = dict[str, Device]


def taken_as_given(count: int, inventory: Inventory) -> list[str] | None:
    """Give what CUDA may see where nothing is to be chosen; None where something is.

    Nothing is to be chosen if no device is wanted, if none is known (CUDA_VISIBLE_DEVICES is not
    set and there is no nvidia-smi), and if as many as wanted are visible and either a scheduler
    runs this job or nothing tells which devices they are.
    """
    visible = _visible()
    if count == 0 or (visible is None and not inventory):
        return []
    if visible is None or len(visible) != count:
        return None
    all_known = all(_known(entry, inventory) for entry in visible)
    return None if all_known and not _job() else visible


def candidates(count: int, inventory: Inventory) -> list[Device]:
    """List the devices to choose from: the visible ones, else all of the inventory.

    Raises GauntletError if there are fewer than `count`.
    """
    visible = _visible()
    if visible is None:
        found = list(inventory.values())
    else:
        found = [_known(entry, inventory) or _unknown(entry) for entry in visible]
        found = list({device.lock: device for device in found}.values())
    if len(found) < count:
        where = "on this machine" if visible is None else f"in {VISIBLE} ('{os.environ[VISIBLE]}')"
        raise GauntletError(
            f"A job needs gpu: {count}, but there are {len(found)} GPUs {where}; allowed is up to "
            "as many as there are (defenses.*.devices, and gpu in the profile)."
        )
    return found


def _visible() -> list[str] | None:
    """Read CUDA_VISIBLE_DEVICES as CUDA does: an entry of -1 hides itself and what follows."""
    text = os.environ.get(VISIBLE)
    if text is None:
        return None
    entries = []
    for entry in (part.strip() for part in text.split(",")):
        if not entry or entry.startswith("-"):
            break
        entries.append(entry)
    return list(dict.fromkeys(entries))


def take_inventory() -> Inventory:
    """Ask nvidia-smi for the devices, by index in PCI order; nothing where it gives none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    try:
        done = subprocess.run(
            [program, *QUERY], capture_output=True, text=True, timeout=LONGEST, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning("nvidia-smi gives no list of GPUs, so that none is leased: %s", error)
        return {}
    rows = csv.reader(done.stdout.splitlines(), skipinitialspace=True)
    return {row[0]: _device(*row) for row in rows if len(row) == COLUMNS}


def _device(index: str, uuid: str, used: str, total: str) -> Device:
    own = uuid if uuid.startswith("GPU-") else index
    return Device(own, _lock_name(own), f"GPU {index}", _megabytes(used), _megabytes(total))


def _megabytes(text: str) -> int:
    return int(text) if text.isdigit() else 0  # "[N/A]" where the driver does not say


def _known(entry: str, inventory: Inventory) -> Device | None:
    """Find a visible entry, an index or the beginning of a UUID, among the known devices."""
    if entry in inventory:
        return inventory[entry]
    matching = [d for d in inventory.values() if entry[:4] == "GPU-" and d.id.startswith(entry)]
    return matching[0] if matching else None


def _unknown(entry: str) -> Device:
    """Take an entry as it is: its number may mean something in this scheduler's job alone."""
    owner = f"{_job()}-" if entry.isdigit() and _job() else ""
    return Device(entry, _lock_name(owner + entry), f"GPU {entry}")


def _job() -> str:
    """Name the scheduler's job that this process belongs to; nothing outside of one."""
    return next((f"{name}-{os.environ[name]}" for name in JOBS if os.environ.get(name)), "")


def _lock_name(text: str) -> str:
    return "device-" + re.sub(r"[^A-Za-z0-9-]", "_", text)[:200]
