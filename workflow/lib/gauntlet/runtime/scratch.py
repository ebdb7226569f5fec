"""Temporary places of a job's outputs: beside their final place, or on a node's own disk."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gauntlet.core.files import owner, partial_name, write_whole

PLACE = "GAUNTLET_SCRATCH"  # a folder on this machine's own disk


@contextmanager
def growing(finals: dict[str, str]) -> Iterator[dict[str, str]]:
    """Give a temporary path for every output; what is still there at the end is removed."""
    place = os.environ.get(PLACE)
    if place:
        with _elsewhere(Path(place).expanduser() / f"gauntlet-{owner()}", finals) as partials:
            yield partials
        return
    partials = {name: str(partial_name(path)) for name, path in finals.items()}
    try:
        yield partials
    finally:
        for path in partials.values():
            Path(path).unlink(missing_ok=True)


@contextmanager
def _elsewhere(folder: Path, finals: dict[str, str]) -> Iterator[dict[str, str]]:
    """Give every folder of outputs a twin; other files that a stage leaves there are moved too."""
    targets = sorted({str(Path(path).parent) for path in finals.values()})
    twins = {target: folder / str(number) for number, target in enumerate(targets)}
    try:
        for twin in twins.values():
            twin.mkdir(parents=True)
        yield {n: str(twins[str(Path(p).parent)] / Path(p).name) for n, p in finals.items()}
    finally:
        _move_others(twins, finals)
        shutil.rmtree(folder, ignore_errors=True)


def settle(partial: str, final: str) -> None:
    """Give a whole file its final name; from another disk it is copied beside it first."""
    if Path(partial).parent == Path(final).parent:
        os.replace(partial, final)
    else:
        write_whole(final, lambda fresh: shutil.copyfile(partial, fresh))


def _move_others(twins: dict[str, Path], finals: dict[str, str]) -> None:
    outputs = {os.path.normpath(path) for path in finals.values()}
    for target, twin in twins.items():
        for file in twin.glob("*"):
            final = os.path.normpath(os.path.join(target, file.name))
            if file.is_file() and final not in outputs:
                settle(str(file), final)
