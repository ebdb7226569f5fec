"""A small vision transformer."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

HEAD = 64  # channels of a head
HIDDEN = 4  # width of a block's inner layer, as a multiple of the block's
PERIOD = 10000.0  # longest period of the position's waves
# Weights of one output value, output channels, places of the output: for each layer. The products
# inside attention are not counted.
LAYERS = """[
    (patch * patch * shape[0], 64 * heads, -(-shape[1] // patch) * -(-shape[2] // patch)),
    *[
        (64 * heads * weights, 64 * heads * channels, -(-shape[1] // patch) * -(-shape[2] // patch))
        for weights, channels in [(1, 3), (1, 1), (1, 4), (4, 1)] * depth
    ],
    (64 * heads, classes, 1),
]"""


class Attention(nn.Module):
    """Multi-head self-attention over tokens [N, T, D], in plain operations."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.mixed, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        count, places, width = tokens.shape
        split = self.mixed(tokens).view(count, places, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)  # each [N, heads, T, D / heads]
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])
        return self.out((scores.softmax(3) @ value).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and two linear layers, each after layer norm and with a shortcut."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        layers = [nn.Linear(width, HIDDEN * width), nn.GELU(), nn.Linear(HIDDEN * width, width)]
        self.inner = nn.Sequential(*layers)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.norm1(tokens))
        return tokens + self.inner(self.norm2(tokens))


class Patches(nn.Module):
    """Cut images [N, C, H, W] into patches and give their tokens [N, T, D], with their place."""

    def __init__(self, shape: tuple[int, int, int], patch: int, width: int):
        super().__init__()
        rows, columns = -(-shape[1] // patch), -(-shape[2] // patch)
        self.border = (0, columns * patch - shape[2], 0, rows * patch - shape[1])
        self.tokens = nn.Conv2d(shape[0], width, patch, patch)
        self.register_buffer("places", _waves(rows, columns, width), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        whole = pad(images, self.border) if any(self.border) else images
        return self.tokens(whole).flatten(2).transpose(1, 2) + self.places


class Mean(nn.Module):
    """The mean of all tokens: [N, T, D] to [N, D]."""

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens.mean(1)


def vit_tiny(
    shape: tuple[int, int, int], classes: int, *, patch: int = 4, depth: int = 12, heads: int = 3
) -> nn.Module:
    """Build a vision transformer of 64 * `heads` channels for images of `shape` (C, H, W).

    Sources: Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words" (the tiny size of Touvron et
    al. 2021 is the default); Beyer et al. 2022, "Better Plain ViT Baselines": fixed waves for the
    places and the mean of the tokens in place of a class token. Images are padded to whole patches.
    """
    width = HEAD * heads
    blocks = [Block(width, heads) for _ in range(depth)]
    ends = [nn.LayerNorm(width), Mean(), nn.Linear(width, classes)]
    return nn.Sequential(Patches(shape, patch, width), *blocks, *ends)


def _waves(rows: int, columns: int, width: int) -> Tensor:
    """Give sines and cosines of row and column, of falling frequency: [rows * columns, width]."""
    waves = width // 4
    speeds = PERIOD ** -(torch.arange(waves) / max(waves - 1, 1))
    down, across = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angles = [place.flatten()[:, None] * speeds for place in (down, across)]
    return torch.cat([part for angle in angles for part in (angle.sin(), angle.cos())], 1)
