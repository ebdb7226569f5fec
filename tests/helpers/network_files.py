"""A small network of five classes, and the files in which PyTorch's users save one."""

from pathlib import Path

import torch
from torch import nn

from gauntlet.models.external import exporting

SHAPE, CLASSES = (3, 8, 8), 5
IMAGES = torch.rand(11, *SHAPE, generator=torch.Generator().manual_seed(0))


def conv_net():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, CLASSES),
    )  # fmt: skip


def written(kind: str, net: nn.Module, folder: Path, dynamic: bool) -> bytes:
    """Export a network as torch users do; give the file's content."""
    path, example = folder / "net", torch.zeros(2, *SHAPE)
    if kind == "torchscript":
        torch.jit.trace(net, example).save(str(path))
    elif dynamic:
        save = {"exported": exporting.save_exported, "onnx": exporting.save_onnx}[kind]
        save(net, SHAPE, str(path))
    elif kind == "exported":
        with open(path, "wb") as stream:
            torch.export.save(torch.export.export(net, (example,)), stream)
    else:
        torch.onnx.export(net, (example,), str(path), dynamo=False)
    return path.read_bytes()
