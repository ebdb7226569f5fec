"""The pre-activation ResNet-18 that the robustness literature uses on 32x32 images."""

from torch import Tensor, nn

STAGES = ((1, 1), (2, 2), (4, 2), (8, 2))  # width factor and stride of each pair of blocks
# Weights of one output value, output channels, places of the output: for each layer.
LAYERS = """[
    (9 * shape[0], width, shape[1] * shape[2]),
    *[
        (weights, width * 2**k, -(-shape[1] // 2**k) * -(-shape[2] // 2**k))
        for k in range(4)
        for weights in [
            9 * width * max(1, 2**k // 2),
            *[9 * width * 2**k] * 3,
            *([width * 2**k // 2] if k else []),
        ]
    ],
    (8 * width, classes, 1),
]"""
# Parts of names, and what they are in public code: kuangliu's pytorch-cifar and what follows it,
# and DeepMind's adversarial_robustness.
USUAL_NAMES = {
    "0": ("conv1", "conv_2d"),
    "1": ("layer1.0", "layer_0.0"),
    "2": ("layer1.1", "layer_0.1"),
    "3": ("layer2.0", "layer_1.0"),
    "4": ("layer2.1", "layer_1.1"),
    "5": ("layer3.0", "layer_2.0"),
    "6": ("layer3.1", "layer_2.1"),
    "7": ("layer4.0", "layer_3.0"),
    "8": ("layer4.1", "layer_3.1"),
    "9": ("bn", "bn1", "norm", "batchnorm"),
    "13": ("linear", "fc", "logits"),
    "norm1": ("bn1", "batchnorm_0"),
    "norm2": ("bn2", "batchnorm_1"),
    "conv1": ("conv1", "conv_2d_1"),
    "conv2": ("conv2", "conv_2d_2"),
    "shortcut": ("shortcut.0", "shortcut", "downsample.0", "downsample"),
}


class PreActBlock(nn.Module):
    """Two 3x3 convolutions, each after batch norm and ReLU, and a shortcut."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(before), nn.BatchNorm2d(after)
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        changes = stride != 1 or before != after
        self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        active = self.norm1(x).relu()
        kept = x if self.shortcut is None else self.shortcut(active)
        return self.conv2(self.norm2(self.conv1(active)).relu()) + kept


def preact_resnet18(
    shape: tuple[int, int, int], classes: int, *, width: int = 64, final_norm: bool = True
) -> nn.Module:
    """Build a pre-activation ResNet-18 for images of `shape` (C, H, W).

    Source: He et al. 2016, "Identity Mappings in Deep Residual Networks"; 3x3 stem without
    pooling, as usual for CIFAR-10, `width` channels in the first stage. Without `final_norm` the
    last batch norm and ReLU are left out, as in the code of kuangliu/pytorch-cifar.
    """
    blocks, before = [], width
    for factor, stride in STAGES:
        blocks += [PreActBlock(before, width * factor, stride)]
        before = width * factor
        blocks += [PreActBlock(before, before, 1)]
    return nn.Sequential(
        nn.Conv2d(shape[0], width, 3, padding=1, bias=False),
        *blocks,
        nn.BatchNorm2d(before) if final_norm else nn.Identity(),
        nn.ReLU() if final_norm else nn.Identity(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(before, classes),
    )
