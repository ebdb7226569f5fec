"""TensorBoard: event files of a run, one folder for its epochs and one for its batches."""

import json
import threading
from pathlib import Path

from torch import Tensor

from gauntlet.tracking.base.places import Place
from gauntlet.tracking.base.position import Position


class EventFiles:
    """Write a run's event files; what stands after the position is withdrawn (`purge_step`)."""

    immediate = False  # numbers wait for the next flush, which each epoch asks for

    def __init__(self, folder: Path, position: Position):
        from torch.utils.tensorboard import SummaryWriter

        _leave_failures_to_the_next_write()
        steps = {"epochs": position.epoch + 1, "batches": position.batch + 1}
        self.epochs, self.batches = (
            SummaryWriter(str(folder / name), purge_step=step if step > 1 else None)
            for name, step in steps.items()
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
        for writer in (self.epochs, self.batches):
            writer.close()


def tensorboard(place: Place, position: Position, spec: dict) -> EventFiles:
    """Open a run's event files for a training with this specification.

    Raises ImportError without the package tensorboard, OSError where files cannot be written.
    """
    files = EventFiles(position.folder, position)
    if not position.epoch:
        text = json.dumps(spec, indent=2, sort_keys=True)
        files.text("spec", "".join(f"    {line}\n" for line in text.splitlines()))
    return files


def _leave_failures_to_the_next_write() -> None:
    """Do not print the error of a writing thread: the next write raises it again."""
    before = threading.excepthook

    def hook(failure) -> None:
        if type(failure.thread).__name__ != "_AsyncWriterThread":
            before(failure)

    if getattr(before, "__qualname__", "") != hook.__qualname__:
        threading.excepthook = hook
