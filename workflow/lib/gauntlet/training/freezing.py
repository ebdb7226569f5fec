"""Layers that keep their weights while the ones behind them are trained."""

from torch import nn

from gauntlet.core.errors import GauntletError


def freeze_first(model: nn.Module, count: int) -> list[nn.Module]:
    """Freeze the first layers with weights of their own and give them, in the network's order.

    Their weights get no gradient; in eval mode their statistics stay too. Raises GauntletError if
    no layer would be left to train.
    """
    layers = [part for part in model.modules() if list(part.parameters(recurse=False))]
    if count and count >= len(layers):
        raise GauntletError(
            f"training.freeze is {count}, but the network has {len(layers)} layers with weights; "
            f"allowed is 0 to {len(layers) - 1}."
        )
    for layer in layers[:count]:
        for weight in layer.parameters(recurse=False):
            weight.requires_grad_(False)
    return layers[:count]


def train_mode(model: nn.Module, frozen: list[nn.Module]) -> None:
    """Put a model in train mode, but its frozen layers in eval mode."""
    model.train()
    for layer in frozen:
        layer.eval()
