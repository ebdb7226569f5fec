"""Export of our models to the formats that other programs read."""

import warnings

import torch
from torch import nn

IMAGES, LOGITS = "images", "logits"
BATCH = 2  # images of the example that is traced


def save_torchscript(model: nn.Module, shape: tuple[int, int, int], path: str) -> None:
    """Write a model for images of `shape` (C, H, W) as a traced TorchScript file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what PyTorch means to replace
        torch.jit.save(torch.jit.trace(model, torch.zeros(BATCH, *shape)), path)


def save_exported(model: nn.Module, shape: tuple[int, int, int], path: str) -> None:
    """Write a model as a torch.export file for batches of any size."""
    size = torch.export.Dim("n", min=1)
    example = (torch.zeros(BATCH, *shape),)
    program = torch.export.export(model, example, dynamic_shapes=({0: size},))
    with open(path, "wb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of weights that are not stored row by row
        torch.export.save(program, stream)


def save_onnx(model: nn.Module, shape: tuple[int, int, int], path: str) -> None:
    """Write a model as an ONNX file for batches of any size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what PyTorch means to replace
        torch.onnx.export(
            model,
            (torch.zeros(BATCH, *shape),),
            path,
            dynamo=False,  # the other exporter needs two more packages
            input_names=[IMAGES],
            output_names=[LOGITS],
            dynamic_axes={IMAGES: {0: "n"}, LOGITS: {0: "n"}},
        )
