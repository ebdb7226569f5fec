"""What hears of a training's batches and epochs, and hands them to the trackers."""

from collections.abc import Callable

from torch import Tensor, nn

from gauntlet.core.plugins import load
from gauntlet.tracking.base.pictures import adversarial_pictures, gradient_norms
from gauntlet.tracking.base.places import TRACKERS, Place
from gauntlet.tracking.base.position import Done, key_of
from gauntlet.tracking.base.recorder import Recorder


class TrainingListener:
    """Record a training: every `every` batches, each epoch, and pictures after some epochs.

    `images` [N, C, H, W] and `labels` [N] are the few of the validation part that pictures show.
    """

    def __init__(self, recorders: list[Recorder], spec: dict, per_epoch: int, every: int):
        self.recorders, self.spec = recorders, spec
        self.per_epoch, self.every = per_epoch, every
        self.images: Tensor | None = None
        self.labels: Tensor | None = None
        self.begun = False

    def show(self, images: Tensor, labels: Tensor) -> None:
        """Choose the images of the pictures."""
        self.images, self.labels = images, labels

    def batch(self, epoch: int, number: int, model: nn.Module, loss: Tensor, rate: float) -> None:
        """Take in one batch: its number in the epoch from 0, its mean loss, its learning rate."""
        step = (epoch - 1) * self.per_epoch + number + 1
        self._begin(Done(step - 1, epoch - 1))
        if (step - 1) % self.every and step % self.per_epoch:
            return
        values = {"loss": float(loss), "learning_rate": rate, **gradient_norms(model)}
        for recorder in self.recorders:
            recorder.batch(step, values)

    def epoch(self, row: dict, model: nn.Module) -> None:
        """Take in an epoch: its row of the history, and the model that was validated."""
        epoch, last = row["epoch"], self.spec["training"]["epochs"]
        self._begin(Done(epoch * self.per_epoch, epoch - 1))
        pictures = {}
        if self.images is not None and len(self.images) and is_shown(epoch, last):
            pictures = adversarial_pictures(model, self.spec, epoch, self.images, self.labels)
        for recorder in self.recorders:
            recorder.epoch(row, pictures)

    def close(self, finished: bool) -> None:
        """End all runs; `finished` if the training came to its end."""
        for recorder in self.recorders:
            recorder.close(finished)

    def _begin(self, done: Done) -> None:
        """Open the runs at the first news: anew, or where an interrupted training goes on."""
        if self.begun:
            return
        self.begun = True
        for recorder in self.recorders:
            recorder.begin(done)


def is_shown(epoch: int, last: int) -> bool:
    """Tell whether pictures are made after an epoch: 1, 2, 4, 8, ... and the last."""
    return epoch == last or epoch & (epoch - 1) == 0


def recorders_of(chosen: dict, place: Place, spec: dict) -> list[Recorder]:
    """Make a recorder for each tracker that is asked for."""
    return [
        Recorder(name, place.of(name), _opener(name, chosen[name], place, spec), key_of(spec))
        for name in TRACKERS
        if chosen.get(name)
    ]


def _opener(name: str, settings: dict | bool, place: Place, spec: dict) -> Callable:
    own = settings if isinstance(settings, dict) else {}
    return lambda position: load("tracking", name)(place, position, spec, **own)
