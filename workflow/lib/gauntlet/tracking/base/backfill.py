"""Event files of trainings that wrote none: results of the store, or made before it was asked for.

`make tensorboard` runs this: `python -m gauntlet.tracking.base.backfill [FOLDER]` looks below
FOLDER/results/runs. A run whose event files show its history is left as it is; one whose files
show another training gets those of its history instead.
"""

import argparse
import logging
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.core.records import read_or_empty, read_rows, run_of
from gauntlet.tracking.base.places import FOLDER, Place
from gauntlet.tracking.base.position import FILE, Position, as_texts, numbers
from gauntlet.tracking.tensorboard import EventFiles

logger = logging.getLogger(__name__)


def backfill(home: Path) -> list[str]:
    """Write what is missing, for all runs below a working directory; gives the runs' names."""
    written = []
    for history in sorted(home.glob("results/runs/*/*/*/seed*/history.csv")):
        place = Place(run_of(history), home / "logs" / FOLDER)
        try:
            rows = [row for row in read_rows(history) if row.get("epoch") and len(numbers(row))]
        except (GauntletError, OSError) as error:
            logger.warning("%s", error)
            continue
        if rows and _shown(place.of("tensorboard")) != [as_texts(row) for row in rows]:
            _write(place.of("tensorboard"), rows)
            written.append(place.name)
    return written


def _shown(folder: Path) -> list[dict[str, str]]:
    return read_or_empty(folder / FILE).get("rows", [])


def _write(folder: Path, rows: list[dict[str, str]]) -> None:
    position = Position.fresh(folder)
    files = EventFiles(folder, position)
    for row in rows:
        files.epoch(int(float(row["epoch"])), 0, numbers(row), {})
        position.rows.append(as_texts(row))
    files.close()
    position.save()


def main() -> None:
    """Backfill the event files of a working directory, and say of which runs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path())
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in backfill(parser.parse_args().folder):
        logger.info("event files from the history of %s", name)


if __name__ == "__main__":
    main()
