"""A progress bar on a terminal, and nothing elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(label: str, total: int, show: bool) -> Iterator[Callable[[int, str], None]]:
    """Show how many of `total` images are done; within, call `advance(count, note)`.

    The bar is on stderr, only if that is a terminal, and is removed at the end.
    """
    if not show or not sys.stderr.isatty():
        yield lambda count, note="": None
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("{task.fields[note]}"),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(label, total=total, note="")
        yield lambda count, note="": bars.update(task, advance=count, note=note)
