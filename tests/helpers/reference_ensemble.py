"""The official AutoAttack, with a note of which of its attacks found what."""

import torch
from torch import Tensor, nn

PARTS = {"apgd": "apgd_ce", "apgd_targeted": "apgd_t", "fab": "fab_t", "square": "square"}


def run(model: nn.Module, images: Tensor, labels: Tensor, eps: float, seed: int, batch: int):
    """Give its examples [N, C, H, W], and the name of the attack that found each, or ''."""
    from pyautoattack import AutoAttack

    with torch.no_grad():
        right = model(images).argmax(1) == labels
    by = ["" if one else "clean" for one in right.tolist()]
    places = {image.numpy().tobytes(): row for row, image in enumerate(images)}
    whole = AutoAttack(model, norm="Linf", eps=eps, version="standard", device="cpu", seed=seed)
    for part, name in PARTS.items():
        _note(getattr(whole, part), name, model, places, by)
    return whole.run_standard_evaluation(images, labels, batch_size=batch)[0], by


def _note(part, name: str, model: nn.Module, places: dict[bytes, int], by: list[str]) -> None:
    perturb = part.perturb

    def noted(images: Tensor, labels: Tensor):
        examples = perturb(images, labels)
        with torch.no_grad():
            missed = model(examples).argmax(1) != labels
        for image in images[missed]:
            by[places[image.numpy().tobytes()]] = name
        return examples

    part.perturb = noted
