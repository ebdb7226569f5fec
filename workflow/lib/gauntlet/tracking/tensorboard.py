"""TensorBoard: event files of a run, one folder for its epochs and one for its batches."""

import json
import threading
from pathlib import Path

from torch import Tensor

from gauntlet.tracking.base.places import Place
from gauntlet.tracking.base.position import Position


class EventFiles:
    """Write a run's event files; what a training does again is withdrawn (`purge_step`)."""

    immediate = False  # numbers wait for the next flush, which each epoch asks for

    def __init__(self, folder: Path, position: Position):
        from torch.utils.tensorboard import SummaryWriter

        self.quiet = QuietWriters()
        position.back_to_done()
        steps = {"epochs": position.done.epochs, "batches": position.done.batches}
        self.epochs, self.batches = (
            SummaryWriter(str(folder / name), purge_step=done + 1 if done else None, flush_secs=10)
            for name, done in steps.items()
        )

    def text(self, name: str, text: str) -> None:
        """Write a text in Markdown."""
        self.epochs.add_text(name, text, 0)

    def batch(self, step: int, values: dict[str, float]) -> None:
        """Write numbers of a batch."""
        for name, value in values.items():
            self.batches.add_scalar(f"batch/{name}", value, step)

    def epoch(self, epoch: int, step: int, values: dict, pictures: dict[str, Tensor]) -> None:
        """Write an epoch's numbers and pictures [N, C, H, W]; they are on the disk then."""
        for name, value in values.items():
            self.epochs.add_scalar(f"epoch/{name}", value, epoch)
        for name, images in pictures.items():
            self.epochs.add_images(f"adversarial/{name}", images, epoch)
        for writer in (self.epochs, self.batches):
            writer.flush()

    def close(self, finished: bool = True) -> None:
        """Write what waits, and end the files."""
        try:
            for writer in (self.epochs, self.batches):
                writer.close()
        finally:
            self.quiet.end()


def tensorboard(place: Place, position: Position, spec: dict) -> EventFiles:
    """Open a run's event files for a training with this specification.

    Raises ImportError without the package tensorboard, OSError where files cannot be written.
    """
    files = EventFiles(position.folder, position)
    if not position.done.batches:
        text = json.dumps(spec, indent=2, sort_keys=True)
        files.text("spec", "".join(f"    {line}\n" for line in text.splitlines()))
    return files


class QuietWriters:
    """Do not print the errors of writing threads: the next write raises them again."""

    def __init__(self):
        self.before = threading.excepthook
        threading.excepthook = self

    def __call__(self, failure) -> None:
        if type(failure.thread).__name__ != "_AsyncWriterThread":
            self.before(failure)

    def end(self) -> None:
        """Put back what was there."""
        if threading.excepthook is self:
            threading.excepthook = self.before
