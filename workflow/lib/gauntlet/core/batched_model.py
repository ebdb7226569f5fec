"""A model as attacks see it: in chunks that fit, judged in float32, climbed in what is fast."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError
from gauntlet.core.input_grad import NarrowConvolutions

PRECISIONS = ("float32", "bfloat16", "float16")
NO_DERIVATIVE = "derivative for "  # how PyTorch begins to say that an operation has no derivative
CHUNK_MULTIPLE = (
    8  # a chunk is padded to a multiple of this: below it, a CPU's kernels give other last bits
)
Objective = Callable[[Tensor, Tensor], Tensor]


class NonFiniteLogits(GauntletError):
    """A model gave logits that are no numbers; `row` says for which image of the call."""

    def __init__(self, row: int):
        super().__init__(f"The model's logits of image {row} are not finite; allowed are numbers.")
        self.row = row


class BatchedModel:
    """A callable model, looked at in chunks of `batch` images.

    Calling it gives float32 logits [N, K] without a gradient. `precision` is that of `gradient`
    alone; with `samples` it is averaged over that many passes of a model that answers differently
    each time (expectation over transformation, Athalye et al. 2018, "Obfuscated Gradients Give a
    False Sense of Security"). Raises ValueError for a batch or samples below 1 or a precision that
    is not one of PRECISIONS.
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

    @property
    def low_precision(self) -> bool:
        """Tell whether gradients, and the logits beside them, are less exact than a judgement."""
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
        parts = [
            self._mean_gradient(images, rows, objective) for rows in _chunks(images, self.batch)
        ]
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))

    def averaged_over(self, samples: int) -> "BatchedModel":
        """Give a lens on the same model whose gradients are means over some passes."""
        return BatchedModel(self.model, self.batch, self.precision, samples)

    def in_float32(self) -> "BatchedModel":
        """Give a lens on the same model that climbs in float32."""
        return BatchedModel(self.model, self.batch, "float32", self.samples)

    @torch.no_grad()
    def fast_logits(self, images: Tensor) -> Tensor:
        """Give logits [N, K] in the precision of gradients: fast, and no judgement."""
        parts = [self._fast_logits(images, rows) for rows in _chunks(images, self.batch)]
        return torch.cat(parts) if parts else images.new_zeros(0, 1)

    def _fast_logits(self, images: Tensor, rows: Tensor) -> Tensor:
        with torch.autocast(images.device.type, getattr(torch, self.precision), self.low_precision):
            logits = self.model(_padded(images, rows))[: len(rows)].float()
        return logits if bool(logits.isfinite().all()) else self._float32_logits(images, rows)

    def _mean_gradient(self, images: Tensor, rows: Tensor, objective: Objective):
        if self.samples == 1:
            return self._gradient_of(images, rows, objective)
        passes = [self._gradient_of(images, rows, objective) for _ in range(self.samples)]
        return tuple(torch.stack(column).mean(0) for column in zip(*passes, strict=True))

    def _float32_logits(self, images: Tensor, rows: Tensor) -> Tensor:
        logits = self.model(_padded(images, rows))[: len(rows)].float()
        _require_finite(logits, rows)
        return logits

    def _gradient_of(self, images: Tensor, rows: Tensor, objective: Objective):
        if self.low_precision:
            kind = images.device.type
            with torch.autocast(kind, getattr(torch, self.precision)):
                leaf, logits = self._forward(images, rows)
            if bool(logits.isfinite().all()):  # float16 can overflow; float32 then decides
                return _backward(leaf, logits, rows, objective)
        leaf, logits = self._forward(images, rows)
        _require_finite(logits, rows)
        return _backward(leaf, logits, rows, objective)

    def _forward(self, images: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        leaf = _padded(images, rows).requires_grad_(True)
        with torch.enable_grad(), NarrowConvolutions():
            return leaf, self.model(leaf)[: len(rows)].float()


def as_batched(model: Callable) -> BatchedModel:
    """Give the model's lens: itself if it is one, else one of default batch in float32."""
    return model if isinstance(model, BatchedModel) else BatchedModel(model)


def _backward(leaf: Tensor, logits: Tensor, rows: Tensor, objective: Objective):
    with torch.enable_grad():
        values = objective(logits, rows)
        gradient = _gradient(values, leaf)
    return gradient[: len(rows)].float(), values.detach(), logits.detach()


def _gradient(values: Tensor, leaf: Tensor) -> Tensor:
    """Give the gradient by the leaf: zeros of a model that lets none through."""
    if not values.requires_grad:
        return torch.zeros_like(leaf)
    try:
        return torch.autograd.grad(values.sum(), leaf, materialize_grads=True)[0]
    except RuntimeError as error:
        if not str(error).startswith(NO_DERIVATIVE):
            raise
        return torch.zeros_like(leaf)


def _chunks(images: Tensor, size: int) -> Iterator[Tensor]:
    yield from torch.arange(len(images), device=images.device).split(size)


def _padded(images: Tensor, rows: Tensor) -> Tensor:
    """Take rows that follow one another, and repeat the first to fill a multiple of CHUNK_MULTIPLE."""
    part = images[rows[0] : rows[-1] + 1].detach()
    missing = -len(rows) % CHUNK_MULTIPLE
    if not missing:
        return part.clone(memory_format=torch.preserve_format)
    return torch.cat([part, part[:1].expand(missing, *part.shape[1:])])


def _require_finite(logits: Tensor, rows: Tensor) -> None:
    fine = logits.isfinite().all(1)
    if not bool(fine.all()):
        raise NonFiniteLogits(int(rows[~fine][0]))
