"""Models, one plug-in file each: `gauntlet/models/<arch>.py` holds the function `<arch>`."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.inputs import eval_mode
from gauntlet.core.plugins import load
from gauntlet.models._frames import FlipChannels, Resize

STEADY = 1e-3  # standard deviation, in the images' unit
# Settings that are no arguments of an architecture: its preprocessing, and where it came from.
ASIDE = (
    *("arch", "gradients", "source"),
    *("input_range", "mean", "std", "channel_order", "input_size"),
)


class Classifier(nn.Module):
    """A network with its own normalization: images [N, C, H, W] in [0, 1] in, logits out."""

    def __init__(self, network: nn.Module, channels: int):
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("std", torch.ones(1, channels, 1, 1))

    def normalize_like(self, images: Tensor) -> None:
        """Take mean and standard deviation per channel from training images.

        The standard deviation is at least STEADY: dividing by less would only magnify rounding and
        perturbations.
        """
        self.mean.copy_(images.mean((0, 2, 3), keepdim=True))
        self.std.copy_(images.std((0, 2, 3), keepdim=True).clamp(min=STEADY))

    def forward(self, images: Tensor) -> Tensor:
        return self.network((images - self.mean) / self.std)


def build_model(
    settings: dict,
    shape: tuple[int, int, int],
    classes: int,
    seed: int,
    artefact: bytes | None = None,
) -> Classifier:
    """Build the architecture that `settings["arch"]` names, initialized from the seed alone.

    `shape` is (C, H, W), `artefact` the content of a file that is network and weights at once.
    Raises GauntletError if the architecture cannot take that input.
    """
    chosen = {key: value for key, value in settings.items() if key not in ASIDE}
    if artefact is not None:
        chosen |= {"artefact": artefact, "gradients": settings.get("gradients", True)}
    frame = _frame(settings)
    seen = (shape[0], *settings.get("input_size", shape[1:]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = load("models", settings["arch"])(seen, classes, **chosen)
    model = Classifier(nn.Sequential(*frame, network) if frame else network, shape[0])
    _normalize_as_set(model, settings)
    return model


def bare_network(model: Classifier, settings: dict) -> nn.Module:
    """Give the network itself, without its preprocessing (channel order, size)."""
    return model.network[-1] if _frame(settings) else model.network


def _frame(settings: dict) -> list[nn.Module]:
    flip = [FlipChannels()] if settings.get("channel_order") == "bgr" else []
    return flip + ([Resize(tuple(settings["input_size"]))] if "input_size" in settings else [])


def _normalize_as_set(model: Classifier, settings: dict) -> None:
    """Fold range, mean and std, in the network's order of channels, into one shift and scale."""
    low, high = settings.get("input_range", (0.0, 1.0))
    channels = model.mean.shape[1]
    if settings.get("channel_order") == "bgr" and channels != 3:
        raise GauntletError(
            f"channel_order is 'bgr', but images have {channels} channels; 'bgr' needs 3."
        )
    for name, default in (("mean", 0.0), ("std", 1.0)):
        value = torch.tensor(settings.get(name, default), dtype=torch.float64).reshape(1, -1, 1, 1)
        if value.shape[1] not in (1, channels):
            raise GauntletError(
                f"{name} has {value.shape[1]} values, but images have {channels} channels; allowed "
                "is one number, or one for each channel."
            )
        value = value.flip(1) if settings.get("channel_order") == "bgr" else value
        value = (value - (low if name == "mean" else 0.0)) / (high - low)
        getattr(model, name).copy_(value)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Evaluate or attack a model: eval mode, no parameter gradients; restored afterwards.

    The mode is that of attacks and certificates (`core.inputs.own_settings`): inside a module that
    is in eval mode already, dropout in train mode stays.
    """
    wanted = [(weight, weight.requires_grad) for weight in model.parameters()]
    model.requires_grad_(False)
    try:
        with eval_mode(model):
            yield model
    finally:
        for weight, flag in wanted:
            weight.requires_grad_(flag)


@contextmanager
def in_eval_mode(model: nn.Module) -> Iterator[nn.Module]:
    """Put a model in eval mode, with gradients of its weights as they are; restored afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield model
    finally:
        for module, mode in modes:
            module.training = mode


def load_weights(model: Classifier, state: dict[str, Tensor], source: object) -> None:
    """Load a state dict; GauntletError names the first key that does not fit."""
    own = model.state_dict()
    for name in sorted(own.keys() | state.keys()):
        ours, theirs = own.get(name), state.get(name)
        if ours is None or theirs is None or ours.shape != theirs.shape:
            sizes = [None if tensor is None else list(tensor.shape) for tensor in (ours, theirs)]
            raise GauntletError(
                f"{source} does not fit the architecture: '{name}' should have shape {sizes[0]} "
                f"and has {sizes[1]}."
            )
    model.load_state_dict(state)
