"""What an epoch is judged by: accuracies on the validation part."""

import torch
from torch import Tensor, nn

from gauntlet.attacks import bind
from gauntlet.attacks.fgsm import fgsm
from gauntlet.core import scoring
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from gauntlet.models import evaluating


def validate(
    model: nn.Module, spec: dict, epoch: int, images: Tensor, labels: Tensor, processes
) -> dict:
    """Measure clean accuracy, and accuracy under FGSM and under the validation attack.

    Images [N, C, H, W], labels [N]; each of the `processes` computes a part.
    """
    count = len(labels)
    chosen, mine = spec["training"]["validation_attack"], processes.rows(count)
    quick = {"norm": chosen["norm"], "eps": chosen["eps"], "step": chosen["eps"]}
    images, labels = images[mine], labels[mine]
    with evaluating(model):
        batched = BatchedModel(model, spec["batch"])
        right = scoring.predict(batched, images) == labels
        held, rows = {"clean": right}, right.nonzero().squeeze(1)
        for name, attack, settings in (("fgsm", fgsm, quick), ("robust", bind(chosen), {})):
            places = rows + mine.start
            streams = Streams.of_images(spec["seed"], places, "validation", name, epoch)
            held[name] = torch.zeros_like(right)
            if len(rows):
                attacked = attack(batched, images[rows], labels[rows], streams=streams, **settings)
                held[name][rows] = scoring.predict(batched, attacked.images) == labels[rows]
    whole = {name: processes.joined(kept, count) for name, kept in held.items()}
    return {
        f"validation_{name}": round(float(kept.float().mean()), 6) for name, kept in whole.items()
    }
