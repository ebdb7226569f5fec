"""A model as attacks use it: called in chunks, judged in float32, with gradients by the image."""

import copy
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointError

from gauntlet.core.answers import logits_of
from gauntlet.core.errors import GauntletError
from gauntlet.core.fast_layers import FastLayers
from gauntlet.core.input_grad import for_images

PRECISIONS = ("float32", "bfloat16", "float16")
CHUNK_MULTIPLE = 8  # chunks are padded to a multiple: a CPU rounds other sizes differently
# How PyTorch's messages begin, or what they hold, when a gradient cannot be taken.
NO_DERIVATIVE = "derivative for "
IN_PLACE = "in-place operation"
INFERENCE = "Inference tensors cannot be saved"
REENTRANT = "When use_reentrant=True"
Objective = Callable[[Tensor, Tensor], Tensor]


class NonFiniteLogits(GauntletError):
    """A model gave logits that are not finite; `row` is the place of the image in the call."""

    def __init__(self, row: int):
        super().__init__(f"The model's logits of image {row} are not finite; allowed are numbers.")
        self.row = row


class BatchedModel:
    """A callable model that is called with chunks of at most `batch` images.

    Calling it gives float32 logits [N, K] without a gradient; `answers` says what the model may
    give. `precision` is that of `gradient` alone; with `samples` above 1, for a model that answers
    differently each time, `gradient` gives the mean of that many passes (expectation over
    transformation, Athalye et al. 2018, "Obfuscated Gradients Give a False Sense of Security"). If
    the model has another dtype, images are converted to it; a model that changes its input in place
    gets a copy. Raises ValueError for a batch or samples below 1 or a precision that is not one of
    PRECISIONS.
    """

    def __init__(
        self, model: Callable, batch: int = 128, precision: str = "float32", samples: int = 1
    ):
        if min(batch, samples) < 1 or precision not in PRECISIONS:
            raise ValueError(
                f"batch is {batch}, samples is {samples} (1 or more) and precision is "
                f"{precision!r} ({', '.join(PRECISIONS)})"
            )
        self.model, self.batch, self.precision, self.samples = model, batch, precision, samples
        self._least_classes, self._copies, self._dtype, self._fast = 0, False, None, True

    @property
    def low_precision(self) -> bool:
        """Tell whether gradients are computed in a lower precision than float32."""
        return self.precision != "float32"

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        parts = [self._float32_logits(images, rows) for rows in _chunks(images, self.batch)]
        return torch.cat(parts) if parts else images.new_zeros(0, 1)

    def gradient(self, images: Tensor, objective: Objective) -> tuple[Tensor, Tensor, Tensor]:
        """Give the gradient [N, C, H, W] of an objective, its values [N] and the logits [N, K].

        `objective(logits, rows)` gives a value for each of the named rows; values are summed, so
        that no image's gradient depends on another. Parameters get no gradient.
        """
        chunks = _chunks(images, self.batch)
        parts = [self._mean_gradient(images, rows, objective) for rows in chunks]
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))

    def averaged_over(self, samples: int) -> "BatchedModel":
        """Give the same model with gradients that are means over some passes."""
        return self._with(samples=samples)

    def for_labels_below(self, classes: int) -> "BatchedModel":
        """Give the same model, which raises GauntletError if it has fewer classes."""
        return self._with(_least_classes=classes)

    def _with(self, **changed) -> "BatchedModel":
        other = copy.copy(self)
        vars(other).update(changed)
        return other

    def _mean_gradient(self, images: Tensor, rows: Tensor, objective: Objective):
        if self.samples == 1:
            return self._gradient_of(images, rows, objective)
        passes = [self._gradient_of(images, rows, objective) for _ in range(self.samples)]
        return tuple(torch.stack(column).mean(0) for column in zip(*passes, strict=True))

    def _float32_logits(self, images: Tensor, rows: Tensor) -> Tensor:
        logits = self._asked(_padded(images, rows))[: len(rows)].float()
        _require_finite(logits, rows)
        return logits

    def _gradient_of(self, images: Tensor, rows: Tensor, objective: Objective):
        try:
            return self._one_gradient(images, rows, objective)
        except CheckpointError:  # a model that recomputes does so with PyTorch's own convolutions
            if not self._fast:
                raise
            self._fast = False
            return self._one_gradient(images, rows, objective)

    def _one_gradient(self, images: Tensor, rows: Tensor, objective: Objective):
        if not self.low_precision:
            return self._exact_gradient(images, rows, objective)
        with torch.autocast(images.device.type, getattr(torch, self.precision)):
            leaf, logits = self._forward(images, rows)
        found = _scaled_backward(leaf, logits, rows, objective)
        wrong = ~(found[0].flatten(1).isfinite().all(1) & found[2].isfinite().all(1))
        if bool(wrong.any()):  # float16 can overflow; then float32 is used
            exact = self._exact_gradient(images, rows[wrong], objective)
            for column, part in zip(found, exact, strict=True):
                column[wrong] = part
        return found

    def _exact_gradient(self, images: Tensor, rows: Tensor, objective: Objective):
        leaf, logits = self._forward(images, rows)
        _require_finite(logits, rows)
        return _backward(leaf, logits, rows, objective)

    def _forward(self, images: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        leaf = _padded(images, rows).requires_grad_(True)
        with torch.enable_grad():
            return leaf, self._asked(leaf)[: len(rows)].float()

    def _asked(self, images: Tensor) -> Tensor:
        """Give the model's logits [M, K] of images, in the form that the model takes."""
        fast = self._fast and images.device.type == "cpu"
        while True:
            try:
                with FastLayers(for_images) if fast else nullcontext():
                    answer = self.model(self._prepared(images))
                break
            except RuntimeError as error:
                if not self._adapted(images, str(error)):
                    raise
        logits = logits_of(answer, len(images)).to(images.device)
        if logits.shape[1] < self._least_classes:
            raise GauntletError(
                f"labels hold {self._least_classes - 1}, but the model has {logits.shape[1]} "
                f"classes; allowed are 0 to {logits.shape[1] - 1}."
            )
        return logits

    def _prepared(self, images: Tensor) -> Tensor:
        if self._dtype is not None:
            return images.to(self._dtype)
        return images.clone() if self._copies else images

    def _adapted(self, images: Tensor, message: str) -> bool:
        """Change how images are handed over, after an error; tell whether that can help."""
        if INFERENCE in message:
            raise GauntletError(
                "The model's weights were made under torch.inference_mode, so it has no gradients; "
                "build or load it outside of that mode."
            )
        if IN_PLACE in message and not self._copies:
            self._copies = True
            return True
        own = _own_dtype(self.model)
        if self._dtype is not None or own in (None, images.dtype):
            return False
        self._dtype = own
        return True


def as_batched(model: Callable) -> BatchedModel:
    """Give a model as a BatchedModel: itself if it is one, else with the default settings."""
    return model if isinstance(model, BatchedModel) else BatchedModel(model)


def _own_dtype(model: Callable) -> torch.dtype | None:
    """Give the floating dtype of a module's first such parameter, of a wrapped module too."""
    while not isinstance(model, nn.Module):
        model = getattr(model, "model", None)
        if model is None:
            return None
    kinds = (weight.dtype for weight in model.parameters() if weight.is_floating_point())
    return next(kinds, None)


def _backward(leaf: Tensor, logits: Tensor, rows: Tensor, objective: Objective):
    with torch.enable_grad():
        values = objective(logits, rows)
        gradient = _gradient(values.sum(), leaf)
    return gradient[: len(rows)].float(), values.detach(), logits.detach()


def _scaled_backward(leaf: Tensor, logits: Tensor, rows: Tensor, objective: Objective):
    """Do as `_backward`, with each image's gradient by its logits brought to size 1 on the way.

    Those of a confident model are small: a lower precision would take some of them for 0.
    """
    with torch.enable_grad():
        values = objective(logits, rows)
        outer = _gradient(values.sum(), logits)
    size = outer.abs().amax(1, keepdim=True)
    size = torch.where(size > 0, size, 1.0)
    gradient = _gradient(logits, leaf, outer / size)[: len(rows)].float()
    return gradient * size.view(-1, *[1] * (leaf.dim() - 1)), values.detach(), logits.detach()


def _gradient(values: Tensor, leaf: Tensor, outer: Tensor | None = None) -> Tensor:
    """Give the gradient by the leaf: zeros for a model that does not propagate any."""
    if not values.requires_grad:
        return torch.zeros_like(leaf)
    try:
        return torch.autograd.grad(values, leaf, outer, materialize_grads=True)[0]
    except RuntimeError as error:
        if REENTRANT in str(error):
            raise GauntletError(
                "The model recomputes with torch.utils.checkpoint(use_reentrant=True), through "
                "which no gradient by the image can be taken; use use_reentrant=False."
            ) from error
        if not str(error).startswith(NO_DERIVATIVE):
            raise
        return torch.zeros_like(leaf)


def _chunks(images: Tensor, size: int) -> Iterator[Tensor]:
    yield from torch.arange(len(images), device=images.device).split(size)


def _padded(images: Tensor, rows: Tensor) -> Tensor:
    """Take rows, and repeat the first up to a multiple of CHUNK_MULTIPLE."""
    first, last = int(rows[0]), int(rows[-1])
    consecutive = last - first + 1 == len(rows)
    part = images[first : last + 1].detach() if consecutive else images[rows].detach()
    missing = -len(rows) % CHUNK_MULTIPLE
    if not missing:
        return part.clone(memory_format=torch.preserve_format)
    return torch.cat([part, part[:1].expand(missing, *part.shape[1:])])


def _require_finite(logits: Tensor, rows: Tensor) -> None:
    fine = logits.isfinite().all(1)
    if not bool(fine.all()):
        raise NonFiniteLogits(int(rows[~fine][0]))
