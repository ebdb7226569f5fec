"""The one check that attacks, certificates and audits enter through."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import FunctionType, MethodType, ModuleType

import torch
from torch import Tensor, nn

from gauntlet.core.batched_model import BatchedModel, as_batched
from gauntlet.core.device import require_float64
from gauntlet.core.errors import GauntletError

logger = logging.getLogger(__name__)
DEPTH = 6  # of callables and containers inside one another in which modules are looked for
OWN = ("torch.", "numpy.")  # packages whose functions hold no model


def checked_images(images: Tensor) -> Tensor:
    """Give images as attacks take them: float32 [N, C, H, W] in [0, 1], without a gradient.

    Raises GauntletError that names the type, the shape or the range if they are not.
    """
    if not isinstance(images, Tensor):
        raise GauntletError(f"images are a {type(images).__name__}; allowed is a torch.Tensor.")
    require_float64(images.device, "images are")
    if images.dtype != torch.float32:
        name = str(images.dtype).removeprefix("torch.")
        hint = "" if images.is_floating_point() else "; divide 8-bit values by 255"
        raise GauntletError(f"images are {name}; allowed is float32 in [0, 1]{hint}.")
    if images.dim() != 4:
        raise GauntletError(f"images have shape {list(images.shape)}; allowed is [N, C, H, W].")
    if images.numel():
        low, high = (float(end) for end in images.detach().aminmax())
        if not (low >= 0 and high <= 1):  # not-a-number fails too
            raise GauntletError(
                f"images range from {low:.6g} to {high:.6g}; allowed are finite values from 0 to 1 "
                "(divide 8-bit values by 255; put normalization into the model)."
            )
    return _own(images)


def checked_labels(labels: Tensor, images: Tensor, soft: bool = False) -> Tensor:
    """Give labels as int64 [N] on the images' device; `soft` also allows probabilities [N, K].

    Raises GauntletError that names the type, the shape or a negative label.
    """
    if not isinstance(labels, Tensor):
        raise GauntletError(f"labels are a {type(labels).__name__}; allowed is a torch.Tensor.")
    if soft and labels.is_floating_point() and labels.dim() == 2 and len(labels) == len(images):
        return _own(labels).to(images.device)
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        name = str(labels.dtype).removeprefix("torch.")
        raise GauntletError(f"labels are {name}; allowed are integers [N], one class per image.")
    if labels.shape != images.shape[:1]:
        raise GauntletError(
            f"labels have shape {list(labels.shape)}; allowed is [{len(images)}], one per image."
        )
    labels = _own(labels).to(images.device, torch.int64)
    if len(labels) and int(labels.min()) < 0:
        raise GauntletError(f"labels hold {int(labels.min())}; allowed are classes from 0.")
    return labels


def checked_model(model, labels: Tensor) -> BatchedModel:
    """Give a model in batches that refuses logits of fewer classes than the labels name."""
    if not callable(model):
        raise GauntletError(f"the model is a {type(model).__name__}; allowed is a callable.")
    hard = labels.dim() == 1 and len(labels) > 0
    return as_batched(model).for_labels_below(int(labels.max()) + 1 if hard else 0)


@contextmanager
def checked(model, images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Give checked images and labels of a certificate or an audit, under settings of its own.

    The model is asked about one image, so that labels are held against its number of classes.
    """
    with own_settings(model, getattr(images, "device", "cpu")):
        images = checked_images(images)
        labels = checked_labels(labels, images)
        batched = checked_model(model, labels)
        if len(images):
            batched(images[:1])
        yield images, labels


@contextmanager
def own_settings(model, device: torch.device | str) -> Iterator[None]:
    """Set aside the caller's settings of PyTorch, and put the model in eval mode, for a while.

    Set aside are grad mode, inference mode, autocast and the default dtype. Modules in train mode
    are found in the model itself and in what a function, a method, a partial, an object, a list or
    a mapping refers to. Inside a module in eval mode, dropout in train mode stays (a random
    defense); batch norm does not.
    """
    kind, dtype = torch.device(device).type, torch.get_default_dtype()
    if any(module.training for module in modules_of(model)):
        logger.info("the model is in train mode; it is put in eval mode meanwhile")
    with torch.inference_mode(False), torch.no_grad(), eval_mode(model):
        torch.set_default_dtype(torch.float32)
        try:
            if torch.is_autocast_enabled(kind):
                with torch.autocast(kind, enabled=False):
                    yield
            else:
                yield
        finally:
            torch.set_default_dtype(dtype)


def modules_of(model) -> list[nn.Module]:
    """Give the modules that a callable model is made of, as far as Python shows them."""
    found, seen, left = [], set(), [(model, 0)]
    while left:
        part, depth = left.pop()
        if id(part) in seen or depth > DEPTH:
            continue
        seen.add(id(part))
        if isinstance(part, nn.Module):
            found.append(part)
        else:
            left += [(inner, depth + 1) for inner in _parts(part)]
    return found


def _parts(held) -> list:
    """Give what a callable or a container refers to, if models may be in it."""
    if isinstance(held, MethodType):
        return [held.__self__, held.__func__]
    if isinstance(held, partial):
        found = [held.func, *held.args, *held.keywords.values()]
    elif isinstance(held, FunctionType):
        cells = [cell for cell in held.__closure__ or () if _is_filled(cell)]
        found = [cell.cell_contents for cell in cells]
        found += [held.__globals__.get(name) for name in held.__code__.co_names]
        found += [*(held.__defaults__ or ()), *(held.__kwdefaults__ or {}).values()]
    elif isinstance(held, Mapping):
        found = list(held.values())
    else:
        own = getattr(held, "__dict__", {})
        found = list(held) if isinstance(held, list | tuple) else list(own.values())
    return [part for part in found if _may_hold(part)]


def _may_hold(part) -> bool:
    """Tell whether models are looked for in a part: not in PyTorch's own functions and classes."""
    if isinstance(part, nn.Module):
        return True
    home = part.__module__ if isinstance(part, FunctionType) else type(part).__module__
    if isinstance(part, type | ModuleType) or f"{home}.".startswith(OWN):
        return False
    return callable(part) or isinstance(part, list | tuple | Mapping)


def _is_filled(cell) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


@contextmanager
def eval_mode(model) -> Iterator[None]:
    """Put a callable's modules in eval mode for a while; `own_settings` says what stays random."""
    modules = modules_of(model)
    flags = {part: part.training for module in modules for part in module.modules()}
    roots = [module for module in modules if module.training]
    for module in roots:
        module.eval()
    for part in flags:
        if part.training and isinstance(part, nn.modules.batchnorm._NormBase):
            part.eval()
    try:
        yield
    finally:
        for module in roots:
            module.train()
        for part, training in flags.items():
            if part.training != training:
                part.training = training


def _own(tensor: Tensor) -> Tensor:
    """Give a plain tensor without a graph, which gradients may be taken of."""
    if tensor.is_inference():
        tensor = tensor.clone()
    return tensor.detach().as_subclass(Tensor)
