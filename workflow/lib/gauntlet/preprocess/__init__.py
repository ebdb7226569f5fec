"""Steps in front of a model, one plug-in file each: `preprocess/<kind>.py` holds `<kind>`.

A step is a defense on the input side. Its function is called with the shape (C, H, W) of the images
and keyword-only settings, and gives a `torch.nn.Module` that turns images [N, C, H, W] in [0, 1]
into images of the same shape, or a detector (`base.fronts.Detector`): its method
`excess(model, images)` gives one number per image, and above 0 the image is rejected.

Constants of the file, all optional, say how the step is made and attacked: `GRADIENT` is "exact"
(default: the step has a useful gradient, or brings one) or "straight_through" (rounding and the
like inside it are given one, BPDA); `RANDOM` says that it answers differently each time (gradients
are then means over draws, EOT); `FITTED` that its module learns something of a model, by its method
`fit(Material)`: from "examples" (clean and adversarial training images) or from "images" (clean
ones). `MACS` is a formula of multiply-adds per image, `FITTING` of passes per training image.
"""

import torch
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.plugins import load


def make_step(settings: dict, shape: tuple[int, int, int], seed: int) -> nn.Module:
    """Build the step that `settings` ({"kind": ..., **keyword settings}) name, from a seed alone.

    `shape` is the images' (C, H, W). Raises GauntletError if what the file gives is no module.
    """
    chosen = {key: value for key, value in settings.items() if key != "kind"}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        step = load("preprocess", settings["kind"])(shape, **chosen)
    if not isinstance(step, nn.Module):
        raise GauntletError(
            f"The step {settings['kind']} gives a {type(step).__name__}; allowed is a "
            "torch.nn.Module."
        )
    return step
