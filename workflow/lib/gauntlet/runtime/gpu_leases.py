"""Leases of GPUs: Snakemake says how many a job gets, this says which. Standard library only.

A lease is a lock (flock) that the job's process holds on a file which stands for the device, in one
folder for all users and workflows of a machine; the kernel frees it when the process ends.
"""

import fcntl
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache

from gauntlet.core.errors import GauntletError
from gauntlet.runtime.gpu_inventory import (
    Device,
    Inventory,
    candidates,
    take_inventory,
    taken_as_given,
)

logger = logging.getLogger(__name__)
FOLDER = "/tmp/gauntlet-leases"  # never TMPDIR, which users and schedulers set
MASTER = "master"
CROWDED = 0.5  # share of a device's memory in use by others from which on it is waited for
PATIENCE = 600.0  # seconds to wait for devices that others use without a lease
PAUSE = 5.0  # seconds between two checks
TELL = 60.0  # seconds between two lines in the log
HELD: set[int] = set()  # this process's locks


@contextmanager
def leased(count: int) -> Iterator[list[str]]:
    """Lease devices for this process, and let CUDA see these alone: gives their ids.

    It is to be entered before CUDA is initialized. What a scheduler assigned to this very job is
    taken as given; without a count or a known device the environment stays, and the list is empty.
    Waits while other jobs hold leases. Raises GauntletError if there are too few devices, or if
    others use them without a lease for longer than PATIENCE.
    """
    inventory = take_inventory() if count else {}
    given = taken_as_given(count, inventory)
    if given is not None:
        yield given
        return
    with _leasing(count, inventory) as devices:
        ids = [device.id for device in devices]
        logger.info("computes on GPU %s", ", ".join(ids))
        with _environment(CUDA_VISIBLE_DEVICES=",".join(ids), CUDA_DEVICE_ORDER="PCI_BUS_ID"):
            yield ids


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _leasing(count: int, inventory: Inventory) -> Iterator[list[Device]]:
    """Hold the locks of `count` devices, and one of the folder, so that no cleaner removes it."""
    _forget_in_children()
    folder = _open_folder()
    try:
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
        locks = _wait(folder, count, inventory)
        try:
            yield list(locks)
        finally:
            _release(locks.values())
    finally:
        _release([folder])


def _wait(folder: int, count: int, inventory: Inventory) -> dict[Device, int]:
    """Wait until there are enough devices: each with its lock, in the order of preference."""
    logged, crowded_since = -TELL, None
    while True:
        found = candidates(count, inventory)
        locks, leased_now, crowded = _take(folder, found, count)
        if locks:
            return locks
        now = time.monotonic()
        enough = len(found) - len(leased_now) >= count  # but for those who hold no lease
        crowded_since = (crowded_since or now) if enough else None
        if enough and now - crowded_since >= PATIENCE:
            raise GauntletError(
                f"This job needs {_gpus(count)}, but others use them: {_used(crowded)}; allowed "
                f"are devices with less than {CROWDED:.0%} of their memory in use: end what runs "
                "there, or name other devices in CUDA_VISIBLE_DEVICES."
            )
        if now - logged >= TELL:
            logged = now
            logger.info("waits for %s: %s", _gpus(count), _state(leased_now, crowded))
        time.sleep(PAUSE)
        inventory = take_inventory() or inventory


def _take(folder: int, found: list[Device], count: int):
    """Lock all or none: the locks, and which devices were leased or crowded."""
    locks, leased_now, crowded = {}, [], []
    master = _open(folder, MASTER)
    try:
        fcntl.flock(master, fcntl.LOCK_EX)
        for device in sorted(found, key=lambda device: device.used):  # a stable sort
            lock = _try(folder, device.lock)
            if lock is None:
                leased_now.append(device)
            elif device.share >= CROWDED:
                crowded.append(device)
                _release([lock])
            elif len(locks) < count:
                locks[device] = lock
            else:
                _release([lock])
    except BaseException:
        _release(locks.values())
        raise
    finally:
        _release([master])
    if len(locks) < count:
        _release(locks.values())
        locks = {}
    return locks, leased_now, crowded


def _try(folder: int, name: str) -> int | None:
    """Lock a file if nobody has: None if someone has, or if it was replaced meanwhile."""
    lock = _open(folder, name)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.stat(name, dir_fd=folder, follow_symlinks=False), os.fstat(lock)):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    _release([lock])
    return None


def _open_folder() -> int:
    """Open the folder of locks: all users may write, but none removes the files of another."""
    try:
        with suppress(FileExistsError):
            _without_mask(os.mkdir, FOLDER, 0o1777)
        folder = _hold(os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW))
        if stat.S_IMODE(os.fstat(folder).st_mode) & 0o1777 != 0o1777:
            os.fchmod(folder, 0o1777)
    except OSError as error:
        raise _unusable(FOLDER, error.strerror) from error
    return folder


def _open(folder: int, name: str) -> int:
    """Open a lock's file for reading, which is enough to lock it; make it if it is not there.

    Where it exists it is opened without O_CREAT, which kernels forbid for others' files.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    while True:
        try:
            with suppress(FileNotFoundError):
                lock = _hold(os.open(name, flags, dir_fd=folder))
                break
            new = flags | os.O_CREAT | os.O_EXCL
            lock = _hold(_without_mask(os.open, name, new, 0o644, dir_fd=folder))
            break
        except FileExistsError:
            continue
        except OSError as error:
            raise _unusable(f"{FOLDER}/{name}", error.strerror) from error
    if stat.S_ISREG(os.fstat(lock).st_mode):
        return lock
    _release([lock])
    raise _unusable(f"{FOLDER}/{name}", "it is no plain file")


def _unusable(path: str, reason: str) -> GauntletError:
    return GauntletError(
        f"{path} cannot be used for leases of GPUs ({reason}); allowed is a folder of mode 1777 "
        "with plain files that all may read: let its owner remove it."
    )


def _without_mask(make: Callable[..., int], *arguments, **named) -> int:
    mask = os.umask(0)
    try:
        return make(*arguments, **named)
    finally:
        os.umask(mask)


def _hold(descriptor: int) -> int:
    HELD.add(descriptor)
    return descriptor


def _release(descriptors) -> None:
    """Close what is still held; a forked child holds nothing."""
    for descriptor in descriptors:
        if descriptor in HELD:
            HELD.discard(descriptor)
            os.close(descriptor)


@cache
def _forget_in_children() -> None:
    """Let a forked child close its copies, so that a lease ends with the process that took it."""
    os.register_at_fork(after_in_child=lambda: _release(list(HELD)))


def _gpus(count: int) -> str:
    return f"{count} GPU" + "s" * (count > 1)


def _used(devices: list[Device]) -> str:
    return ", ".join(f"{d.name} ({d.used} of {d.total} MB)" for d in devices)


def _state(leased_now: list[Device], crowded: list[Device]) -> str:
    parts = ["leased by other jobs: " + ", ".join(d.name for d in leased_now)] * bool(leased_now)
    return "; ".join(parts + [f"in use by others: {_used(crowded)}"] * bool(crowded))
