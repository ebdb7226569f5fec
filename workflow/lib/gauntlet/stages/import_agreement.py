"""Whether a network that was rebuilt from a file answers as the file's own engine does."""

import torch
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.plugin_facts import facts
from gauntlet.core.rng import generator
from gauntlet.models import Classifier, bare_network, build_model, evaluating
from gauntlet.models.external.onnx_trace import differs, first_differing_step

TOLERANCE = 1e-3  # of the largest logit: rounding stays far below it, in half precision too
IMAGES = 32  # that are compared, random ones and real ones


def reference_of(
    settings: dict, shape: tuple[int, int, int], classes: int, content: bytes
) -> Classifier | None:
    """Build the model that asks the file's own engine; None where a file has no other engine.

    Raises GauntletError if the engine cannot run the file.
    """
    if not settings.get("gradients", True) or not facts("models", settings["arch"]).get(
        "ASKED_WITHOUT_GRADIENTS"
    ):
        return None
    return build_model(settings | {"gradients": False}, shape, classes, 0, content)


def random_images(shape: tuple[int, int, int]) -> Tensor:
    """Give images [IMAGES, C, H, W] of uniform noise in [0, 1]."""
    return torch.rand(IMAGES, *shape, generator=generator(0, "random images of an import"))


def require_agreement(
    model: nn.Module,
    reference: nn.Module,
    images: Tensor,
    what: str,
    content: bytes,
    settings: dict,
) -> str:
    """Compare logits on images [N, C, H, W]; give a note that says how well they agree.

    Raises GauntletError, with the first step that differs where it is found, if they differ by
    more than TOLERANCE of the largest one.
    """
    some = images[:IMAGES]
    with evaluating(model), torch.no_grad():
        ours, theirs = model(some).cpu(), reference(some.cpu())
    share = float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-9))
    if differs(ours, theirs, TOLERANCE):
        place = _place(model, some, content, settings)
        raise GauntletError(
            f"its logits on {len(some)} {what} differ from ONNX Runtime's by {share:.2g} of the "
            f"largest ({place}allowed is {TOLERANCE:g}); set gradients: false to ask ONNX Runtime "
            "itself."
        )
    return f"logits on {len(some)} {what} agree with ONNX Runtime's to {share:.1g} of the largest"


def _place(model: nn.Module, images: Tensor, content: bytes, settings: dict) -> str:
    seen: list[Tensor] = []
    hook = bare_network(model, settings).register_forward_pre_hook(
        lambda module, given: seen.append(given[0].detach())
    )
    try:
        with evaluating(model), torch.no_grad():
            model(images)
    finally:
        hook.remove()
    step = first_differing_step(content, tuple(seen[0].shape[1:]), seen[0], TOLERANCE)
    return f"the first step that differs is {step}; " if step else ""
