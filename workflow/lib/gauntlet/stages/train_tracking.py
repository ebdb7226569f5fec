"""Who hears of a training: the trackers that the environment asks for.

No result depends on it, and no code hash has it (`study.code_hash.IGNORED_MODULES`).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gauntlet.tracking.base.listener import TrainingListener, recorders_of
from gauntlet.tracking.base.places import job_place, settings
from gauntlet.training.batches import Part, own_size, split

EVERY, IMAGES = 10, 8  # where the settings do not say


@contextmanager
def listening(
    spec: dict, train: Part, validation: Part, main: bool = True
) -> Iterator[TrainingListener | None]:
    """Give the listener of this process's training; None if nothing is asked for, or not here.

    Of several processes only the `main` one listens.
    """
    chosen, place = settings(), job_place()
    recorders = recorders_of(chosen, place, spec) if main and place else []
    if not recorders:
        yield None
        return
    per_epoch = len(split(torch.arange(len(train.labels)), own_size(spec["training"])))
    listener = TrainingListener(recorders, spec, per_epoch, chosen.get("every", EVERY))
    count = chosen.get("images", IMAGES)
    listener.show(validation.images[:count], validation.labels[:count])
    finished = False
    try:
        yield listener
        finished = True
    finally:
        listener.close(finished)
