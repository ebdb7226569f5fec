"""How the table of a search's trials is written."""

from collections.abc import Iterable, Mapping

ABOUT = ("trial", "state", "value", "robust", "clean", "n", "seeds", "epochs")
END = ("start", "best", "reason")


def columns(settings: Iterable[str]) -> tuple[str, ...]:
    """Give the table's columns: one for each setting between what is known of every trial."""
    return (*ABOUT, *settings, *END)


def trial_cells(row: Mapping, best: int) -> dict:
    """Give a trial's row; `start` marks the settings by hand, `best` the trial that is chosen."""
    marks = {"start": int(row["start"]), "best": int(row["trial"] == best)}
    return {key: row[key] for key in ABOUT} | row["settings"] | marks | {"reason": row["reason"]}
