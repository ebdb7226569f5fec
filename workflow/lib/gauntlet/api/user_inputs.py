"""What a user gives, checked before anything is computed: a model, images and labels."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.device import require_float64
from gauntlet.core.errors import GauntletError
from gauntlet.core.inputs import own_settings
from gauntlet.models import evaluating
from gauntlet.stages.craft import EvalImages

FEW = 8  # images that the model is asked about first


@dataclass(frozen=True)
class UserInputs:
    """A model in eval mode, and images and labels on its device.

    `classes` is the number of logits, `home` the device on which the user's images were.
    """

    model: Callable
    eval_images: EvalImages
    classes: int
    home: torch.device


@contextmanager
def prepared(model: Callable, images, labels) -> Iterator[UserInputs]:
    """Check what a user gives; within, a module is in eval mode and its weights need no gradient.

    Raises GauntletError, one sentence, for what cannot be used.
    """
    if not callable(model):
        raise GauntletError(
            f"model is a {type(model).__name__}; allowed is a torch.nn.Module or a function from "
            "images [N, C, H, W] to logits [N, K]."
        )
    pixels = checked_images(images)
    home = images.device if isinstance(images, Tensor) else torch.device("cpu")
    truth = checked_labels(labels, len(pixels))
    device = _device_of(model, pixels)
    require_float64(device, "the model is")
    pixels, truth = pixels.to(device), truth.to(device)
    mode = evaluating(model) if isinstance(model, nn.Module) else nullcontext()
    with mode, own_settings(model, device):
        classes = _classes_of(model, pixels[:FEW])
        if int(truth.max()) >= classes:
            raise GauntletError(
                f"labels has a {int(truth.max())}, but the model gives {classes} logits; allowed "
                f"are 0 to {classes - 1}."
            )
        yield UserInputs(model, EvalImages(torch.arange(len(truth)), pixels, truth), classes, home)


def checked_images(images, name: str = "images") -> Tensor:
    """Give images as float32 [N, C, H, W] in [0, 1]; GauntletError for anything else."""
    values = _tensor(images, name)
    if values.is_complex():
        raise GauntletError(f"{name} holds {_kind(values)}; allowed are real numbers in [0, 1].")
    if not values.is_floating_point():
        raise GauntletError(
            f"{name} holds whole numbers ({_kind(values)}); allowed are floating-point numbers in "
            f"[0, 1] (divide values of 0 to 255 by 255)."
        )
    if values.ndim != 4 or 0 in values.shape:
        raise GauntletError(
            f"{name} has shape {list(values.shape)}; allowed is [N, C, H, W], one image or more "
            f"with the channels before height and width."
        )
    values = values.detach().float().contiguous()
    if not bool(values.isfinite().all()):
        raise GauntletError(f"{name} has values that are not finite; allowed are 0 to 1.")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        advice = (
            "divide values of 0 to 255 by 255"
            if low >= 0
            else "a normalization by mean and standard deviation belongs into the model"
        )
        raise GauntletError(
            f"{name} has values from {low:.4g} to {high:.4g}; allowed are 0 to 1 ({advice})."
        )
    return values


def checked_labels(labels, count: int, name: str = "labels") -> Tensor:
    """Give labels as int64 [N], for `count` images; GauntletError for anything else."""
    values = _tensor(labels, name)
    if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
        raise GauntletError(f"{name} holds {_kind(values)}; allowed are whole numbers.")
    if list(values.shape) != [count]:
        raise GauntletError(
            f"{name} has shape {list(values.shape)}; allowed is [{count}], one class for each "
            f"image."
        )
    if int(values.min()) < 0:
        raise GauntletError(f"{name} has a {int(values.min())}; allowed are 0 and above.")
    return values.long()


def _tensor(values, name: str) -> Tensor:
    if isinstance(values, np.ndarray):
        if values.dtype.kind not in "fiub":
            raise GauntletError(f"{name} is an array of {values.dtype}; allowed are numbers.")
        native = values.astype(values.dtype.newbyteorder("="), copy=True)
        return torch.from_numpy(np.ascontiguousarray(native))
    if isinstance(values, Tensor):
        if values.layout != torch.strided or values.is_meta or values.is_quantized:
            raise GauntletError(
                f"{name} is a sparse, quantized or meta tensor; allowed is a plain one."
            )
        return values
    raise GauntletError(
        f"{name} is a {type(values).__name__}; allowed is a PyTorch tensor or a NumPy array."
    )


def _kind(values: Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")


def _device_of(model: Callable, images: Tensor) -> torch.device:
    """Give the device of a module's weights, else that of the images."""
    if isinstance(model, nn.Module):
        for tensor in (*model.parameters(), *model.buffers()):
            return tensor.device
    return images.device


def _classes_of(model: Callable, images: Tensor) -> int:
    """Ask the model about a few images: the number of its logits."""
    try:
        return BatchedModel(model, len(images))(images).shape[1]
    except GauntletError:  # logits that are not finite, or no logits at all
        raise
    except Exception as error:  # whatever the user's own code raises
        shape = "x".join(map(str, images.shape[1:]))
        reason = (str(error).strip().splitlines() or [""])[0][:160].rstrip(".")
        raise GauntletError(
            f"The model fails on images of {shape} ({type(error).__name__}: {reason}); allowed is "
            f"a model that takes images [N, C, H, W]."
        ) from error
