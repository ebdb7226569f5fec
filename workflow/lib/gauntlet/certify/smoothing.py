"""Randomized smoothing: the class of most noisy copies of an image, proven in an l2 ball."""

import numpy as np
import torch
from scipy.special import betaincinv, ndtri
from torch import Tensor

from gauntlet.certify._certificate import Certificate
from gauntlet.core.batched_model import as_batched
from gauntlet.core.errors import GauntletError
from gauntlet.core.image_rng import Streams
from gauntlet.core.inputs import checked

NORMS = ("l2",)
DETERMINISTIC = False  # it speaks of the smoothed classifier, not of the model itself
DRAWS = 1024  # noisy copies that are drawn at once; another number draws other noise
ROUNDING = 1e-6  # relative: what float32 may cost sigma, and the open ball its edge
FORWARDS = "n0 + n + 1"


def smoothing(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    norm: str = "l2",
    eps: float,
    sigma: float,
    n0: int = 100,
    n: int = 10_000,
    alpha: float = 0.001,
    streams: Streams | None = None,
    generator: torch.Generator | None = None,
) -> Certificate:
    """Certify the smoothed classifier g(x) = the class that f(x + N(0, sigma^2)) gives most often.

    Source: Cohen et al. 2019, "Certified Adversarial Robustness via Randomized Smoothing". For each
    image n0 noisy copies choose a class, n others give a lower bound p of its probability that
    holds with confidence 1 - alpha (Clopper and Pearson 1934); if p > 1/2, g is that class within
    the l2 radius sigma * Phi^-1(p), else the image is abstained from. `sigma` and `eps` are in the
    images' unit; noisy images are not cut to [0, 1], and the model answers in float32. The margin
    is radius - eps. Noise belongs to the image's stream, or comes from `generator`.
    Raises GauntletError for settings out of range.
    """
    _require(norm, sigma, n0, n, alpha)
    if streams is None:
        streams = Streams.from_generator(generator or torch.Generator().manual_seed(0), len(images))
    batched, top, hits = as_batched(model), [], []
    with checked(model, images, labels) as (images, labels):
        for image, state in zip(images, streams.fork("noise").states.tolist(), strict=True):
            own = torch.Generator().manual_seed(state & (2**63 - 1))
            top.append(int(_votes(batched, image, sigma, n0, own).argmax()))
            hits.append(int(_votes(batched, image, sigma, n, own)[top[-1]]))
    radius = certified_radius(np.array(hits), n, alpha, sigma)
    right = torch.tensor(top, dtype=torch.int64) == labels.cpu()
    return _certificate(torch.from_numpy(radius), right, eps)


def certified_radius(hits: np.ndarray, n: int, alpha: float, sigma: float) -> np.ndarray:
    """Give the l2 radius proven by `hits` of n copies: float64, 0 where that is none."""
    low = lower_bound(hits, n, alpha)
    radius = sigma * ndtri(np.maximum(low, 0.5)) * (1 - ROUNDING)
    return np.where(low > 0.5, radius, 0.0)


def lower_bound(hits: np.ndarray, n: int, alpha: float) -> np.ndarray:
    """Give a lower bound of a probability from hits in n draws, of confidence 1 - alpha.

    Source: Clopper and Pearson 1934, "The Use of Confidence or Fiducial Limits"; one-sided.
    """
    hits = np.asarray(hits, dtype=float)
    bound = betaincinv(np.maximum(hits, 1), n - np.maximum(hits, 1) + 1, alpha)
    return np.where(hits > 0, bound, 0.0)


def _certificate(radius: Tensor, right: Tensor, eps: float) -> Certificate:
    abstained = radius == 0
    radius = torch.where(right, radius, 0.0)
    return Certificate(radius, radius - eps, (radius > 0) & (radius >= eps), abstained)


def _votes(batched, image: Tensor, sigma: float, count: int, own: torch.Generator) -> Tensor:
    """Count the classes of noisy copies of one image [C, H, W]: int64 [K]."""
    votes = 0
    for start in range(0, count, DRAWS):
        size = min(DRAWS, count - start)
        noise = torch.randn((size, *image.shape), generator=own).to(image.device)
        logits = batched(image + sigma * noise)
        votes = votes + torch.bincount(logits.argmax(1).cpu(), minlength=logits.shape[1])
    return votes


def _require(norm: str, sigma: float, n0: int, n: int, alpha: float) -> None:
    wrong = {
        f"norm is {norm!r}; smoothing allows l2": norm not in NORMS,
        f"sigma is {sigma}; allowed is a number above 0": not 0 < sigma < float("inf"),
        f"n0 is {n0} and n is {n}; both must be 1 or more": min(n0, n) < 1,
        f"alpha is {alpha}; allowed is a number between 0 and 1": not 0 < alpha < 1,
    }
    for message, holds in wrong.items():
        if holds:
            raise GauntletError(f"{message}.")
