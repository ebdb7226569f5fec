"""Where a job's outputs grow until they are whole: beside their place, or on a node's own disk."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gauntlet.core.files import owner, partial_name, write_whole

PLACE = "GAUNTLET_SCRATCH"  # a folder on this machine's own disk


@contextmanager
def growing(finals: dict[str, str]) -> Iterator[dict[str, str]]:
    """Give a temporary path for every output; what is left there in the end is removed."""
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
    """Give every folder of outputs a room; files that a stage leaves beside them come home too."""
    homes = sorted({str(Path(path).parent) for path in finals.values()})
    rooms = {home: folder / str(number) for number, home in enumerate(homes)}
    try:
        for room in rooms.values():
            room.mkdir(parents=True)
        yield {n: str(rooms[str(Path(p).parent)] / Path(p).name) for n, p in finals.items()}
    finally:
        _bring_others(rooms, finals)
        shutil.rmtree(folder, ignore_errors=True)


def settle(partial: str, final: str) -> None:
    """Give a whole file its final name; from another disk it is copied beside it first."""
    if Path(partial).parent == Path(final).parent:
        os.replace(partial, final)
    else:
        write_whole(final, lambda fresh: shutil.copyfile(partial, fresh))


def _bring_others(rooms: dict[str, Path], finals: dict[str, str]) -> None:
    outputs = {os.path.normpath(path) for path in finals.values()}
    for target, room in rooms.items():
        for file in room.glob("*"):
            final = os.path.normpath(os.path.join(target, file.name))
            if file.is_file() and final not in outputs:
                settle(str(file), final)
