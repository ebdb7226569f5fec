"""What a model may answer with, and how it becomes logits [N, K]."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError

ALLOWED = (
    "allowed are logits [N, K], [N] or [N, 1] (the logit of class 1 of two), and a tuple, a dict "
    "or an object with exactly one such tensor or with 'logits'"
)


def logits_of(answer, count: int) -> Tensor:
    """Give the logits [N, K] in a model's answer to `count` images.

    Taken are tensors [N, K] (dimensions of size 1 behind them are dropped); the attribute or key
    `logits`; a tuple, list or mapping in which exactly one tensor can be logits. [N] or [N, 1] is
    the logit z of class 1 of two classes and becomes [0, z], whose cross-entropy is the binary one.
    Raises GauntletError for any other answer.
    """
    if isinstance(answer, Tensor):
        found = _shaped(answer, count)
        if found is None:
            raise _refusal(answer, count)
        return found
    named = answer.get("logits") if isinstance(answer, Mapping) else None
    named = getattr(answer, "logits", None) if named is None else named
    if isinstance(named, Tensor):
        return logits_of(named, count)
    return _only_logits(answer, count)


def _shaped(answer: Tensor, count: int) -> Tensor | None:
    """Give a tensor as logits [N, K], or None if it cannot be that."""
    if answer.dim() == 0 or len(answer) != count or not answer.is_floating_point():
        return None
    if answer.dim() > 2 and answer.shape[2:].numel() == 1:
        answer = answer.flatten(1)
    if answer.dim() == 1 or answer.shape[1:] == (1,):
        second = answer.reshape(count)
        return torch.stack([torch.zeros_like(second), second], 1)
    return answer if answer.dim() == 2 and answer.shape[1] > 1 else None


def _only_logits(answer, count: int) -> Tensor:
    """Give the one tensor of several that can be logits; [N, K] goes before [N] and [N, 1]."""
    parts = list(answer.values()) if isinstance(answer, Mapping) else answer
    if not isinstance(parts, list | tuple):
        raise _refusal(answer, count)
    tensors = [part for part in parts if isinstance(part, Tensor)]
    possible = [part for part in tensors if _shaped(part, count) is not None]
    wide = [part for part in possible if part[0].numel() > 1]
    chosen = wide or possible
    if len(chosen) != 1:
        raise _refusal(answer, count)
    return _shaped(chosen[0], count)


def _refusal(answer, count: int) -> GauntletError:
    return GauntletError(f"The model answers {count} images with {_in_words(answer)}; {ALLOWED}.")


def _in_words(answer) -> str:
    if isinstance(answer, Tensor):
        return f"{str(answer.dtype).removeprefix('torch.')} {list(answer.shape)}"
    if isinstance(answer, Mapping):
        return f"a dict of {_listed(f'{key}: {_in_words(part)}' for key, part in answer.items())}"
    if isinstance(answer, list | tuple):
        return f"a {type(answer).__name__} of {_listed(map(_in_words, answer))}"
    return f"a {type(answer).__name__}"


def _listed(parts) -> str:
    return ", ".join(parts) or "nothing"
