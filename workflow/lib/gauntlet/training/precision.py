"""Numbers of enough digits for a loss."""

import torch
from torch import Tensor


def widened(values: Tensor) -> Tensor:
    """Give values in float32, or as they are in float64: sums of a loss need it in bfloat16."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
