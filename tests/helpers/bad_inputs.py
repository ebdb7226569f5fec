"""Images and labels that no entry of the library takes, and the words that name each."""

import torch
from torch import nn

BAD = {
    "normalized": (lambda x, y: ((x - 0.5) / 0.3, y), "images range from -1.6"),
    "0 to 255": (lambda x, y: (x * 255, y), "images range from .* to 25"),
    "not a number": (lambda x, y: (x * torch.nan, y), "images range from nan"),
    "infinite": (lambda x, y: (x / 0, y), "images range"),
    "slightly above": (lambda x, y: (x / x.max() * 1.001, y), "to 1.001"),
    "bytes": (lambda x, y: ((x * 255).byte(), y), "images are uint8"),
    "float64": (lambda x, y: (x.double(), y), "images are float64"),
    "half": (lambda x, y: (x.half(), y), "images are float16"),
    "one image": (lambda x, y: (x[0], y[:1]), r"images have shape \[1, 8, 8\]"),
    "array": (lambda x, y: (x.numpy(), y), "images are a ndarray"),
    "few labels": (lambda x, y: (x, y[:5]), r"labels have shape \[5\]; allowed is \[12\]"),
    "column": (lambda x, y: (x, y[:, None]), r"labels have shape \[12, 1\]"),
    "float labels": (lambda x, y: (x, y.float()), "labels are float32"),
    "bool labels": (lambda x, y: (x, y > 3), "labels are bool"),
    "one-hot": (lambda x, y: (x, nn.functional.one_hot(y, 10).float()), "labels are float32"),
    "list": (lambda x, y: (x, y.tolist()), "labels are a list"),
    "negative": (lambda x, y: (x, y - 1 - y.max()), "labels hold -"),
    "too high": (lambda x, y: (x, y + 10), "labels hold 1.*allowed are 0 to 9"),
}
