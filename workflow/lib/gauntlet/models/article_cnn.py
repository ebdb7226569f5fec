"""The article's network: two convolutions with pooling, two linear layers."""

from torch import nn

from gauntlet.core.errors import GauntletError

GRAY = ((32, 64), 128)  # the article's example A, for 28x28x1
COLOR = ((64, 128), 512)  # its example B, for 32x32x3
# Weights of one output value, output channels, places of the output: for each layer.
LAYERS = """[
    layer
    for (first, second), units in [GRAY if shape[0] == 1 else COLOR]
    for first, second, units in [(*(channels or (first, second)), hidden or units)]
    for layer in [
        (9 * shape[0], first, shape[1] * shape[2]),
        (9 * first, second, (shape[1] // 2) * (shape[2] // 2)),
        (second * (shape[1] // 4) * (shape[2] // 4), units, 1),
        (units, classes, 1),
    ]
]"""


def article_cnn(
    shape: tuple[int, int, int],
    classes: int,
    *,
    channels: list[int] | None = None,
    hidden: int | None = None,
) -> nn.Module:
    """Build conv3x3-pool-conv3x3-pool-linear-linear for images of `shape` (C, H, W).

    Without `channels` and `hidden`, 32-64-128 for one channel and 64-128-512 for more, as in the
    article. The flattened size is computed from the input: 7*7*64 for 28x28, 8*8*128 for 32x32
    (where the article wrote 7*7*128). Raises GauntletError for images below 4x4.
    """
    depth, height, width = shape
    if min(height, width) < 4:
        raise GauntletError(f"article_cnn needs images of 4x4 or more; these are {height}x{width}.")
    default_channels, default_hidden = GRAY if depth == 1 else COLOR
    first, second = channels or default_channels
    hidden = hidden or default_hidden
    return nn.Sequential(
        nn.Conv2d(depth, first, 3, padding=1),
        nn.MaxPool2d(2),  # before ReLU: the same function to the bit, on a quarter of the values
        nn.ReLU(),
        nn.Conv2d(first, second, 3, padding=1),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(second * (height // 4) * (width // 4), hidden),
        nn.ReLU(),
        nn.Linear(hidden, classes),
    )
