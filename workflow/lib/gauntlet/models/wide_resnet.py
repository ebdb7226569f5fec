"""The wide ResNet that most results on CIFAR-10 are published for."""

from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.models.preact_resnet18 import PreActBlock

STEM = 16  # channels before the first stage
# Weights of one output value, output channels, places of the output: for each layer.
LAYERS = """[
    (9 * shape[0], 16, shape[1] * shape[2]),
    *[
        (weights, 16 * factor * 2**k, -(-shape[1] // 2**k) * -(-shape[2] // 2**k))
        for k in range(3)
        for weights in [
            9 * 16 * (factor * 2**k // 2 if k else 1),
            *([9 * 16 * factor * 2**k] * (2 * ((depth - 4) // 6) - 1)),
            *([16 * (factor * 2**k // 2 if k else 1)] if k or factor > 1 else []),
        ]
    ],
    (64 * factor, classes, 1),
]"""


def wide_resnet(
    shape: tuple[int, int, int], classes: int, *, depth: int = 28, factor: int = 10
) -> nn.Module:
    """Build a WRN-depth-factor for images of `shape` (C, H, W).

    Source: Zagoruyko & Komodakis 2016, "Wide Residual Networks", without dropout: three stages of
    (depth - 4) / 6 blocks with 16, 32 and 64 times `factor` channels. Raises GauntletError for a
    depth that is no 6 n + 4.
    """
    blocks, rest = divmod(depth - 4, 6)
    if rest or blocks < 1:
        raise GauntletError(f"depth is {depth}; allowed is 6 n + 4, such as 10, 16, 28 or 34.")
    before, layers = STEM, [nn.Conv2d(shape[0], STEM, 3, padding=1, bias=False)]
    for stage in range(3):
        after = STEM * factor * 2**stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            layers.append(PreActBlock(before, after, stride))
            before = after
    ends = [nn.BatchNorm2d(before), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *ends, nn.Linear(before, classes))
