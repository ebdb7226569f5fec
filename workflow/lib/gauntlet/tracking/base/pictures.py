"""What is looked at beside a training: sizes of gradients, and adversarial images.

Nothing here moves the model, its mode, or a random stream that anything else draws from.
"""

import torch
from torch import Tensor, nn

from gauntlet.attacks import bind
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from gauntlet.models import evaluating


def gradient_norms(model: nn.Module) -> dict[str, float]:
    """Give l2 norms of the last gradient: of all weights, and of the first and the last layer's."""
    found = [weight.grad for weight in model.parameters() if weight.grad is not None]
    matrices = [gradient for gradient in found if gradient.dim() > 1]
    if not matrices:
        return {}
    parts = {"": found, "_first_layer": matrices[:1], "_last_layer": matrices[-1:]}
    norms = [nn.utils.get_total_norm(gradients) for gradients in parts.values()]
    sizes = torch.stack([norm.float() for norm in norms]).tolist()
    return {f"gradient_norm{name}": size for name, size in zip(parts, sizes, strict=True)}


def adversarial_pictures(
    model: nn.Module, spec: dict, epoch: int, images: Tensor, labels: Tensor
) -> dict[str, Tensor]:
    """Attack a few images [N, C, H, W] by the validation attack: images, examples, changes.

    A change is gray where there is none, and stretched so that the largest is black or white.
    """
    attack = bind(spec["training"]["validation_attack"])
    streams = Streams.of_images(spec["seed"], torch.arange(len(labels)), "tracking", epoch)
    devices = [images.device] if images.device.type == "cuda" else []
    with torch.random.fork_rng(devices), evaluating(model):
        batched = BatchedModel(model, spec["batch"])
        attacked = attack(batched, images, labels, streams=streams).images
    change = attacked - images
    largest = change.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
    found = {"clean": images, "adversarial": attacked, "change": change / largest / 2 + 0.5}
    return {name: _drawable(part) for name, part in found.items()}


def _drawable(images: Tensor) -> Tensor:
    """Give images of one or three channels, on the CPU; of other counts the first channel."""
    kept = images if images.shape[1] in (1, 3) else images[:, :1]
    return kept.detach().float().clamp(0, 1).cpu()
