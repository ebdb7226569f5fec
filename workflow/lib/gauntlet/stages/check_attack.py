"""Check attacks on small models whose exact minimal distance is known."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gauntlet.attacks import bind
from gauntlet.core.image_rng import Streams
from gauntlet.core.plugin_facts import facts
from gauntlet.core.rng import generator
from gauntlet.core.threat_models import NORMS, distance
from gauntlet.stages.craft import batched_for, is_minimal, takes_eps, without

SHAPE, FEATURES, CLASSES, COUNT = (1, 8, 8), 64, 10, 40
DOUBLINGS = 6  # of the Hadamard matrix, whose rows are all equally far apart in every norm
DEEP, NOISE = 0.075, 0.02  # how far an image's pixels lie from gray, and from one another
# Scale of the logits, as confident models have it: near a boundary only one class is seen.
LINEAR_SCALE, PROTOTYPE_SCALE = 8.0, 60.0
DUAL = {"linf": 1, "l2": 2, "l1": float("inf")}
SLACK = 0.05  # share of the exact distance that an attack may go beyond it, unless its file says
MOST_MISSED = 0.05  # share of the images within reach that an attack may miss


@dataclass(frozen=True)
class Oracle:
    """A model, images [N, C, H, W] that it gets right, labels [N], and exact distances [N]."""

    name: str
    model: Callable[[Tensor], Tensor]
    images: Tensor
    labels: Tensor
    exact: Tensor


def check_attack(settings: dict, batch: int, precision: str, device: torch.device) -> dict:
    """Run an attack, with its resolved settings, on every oracle: does it find near examples?

    An attack without a norm cannot be compared with a distance: it passes, unchecked.
    """
    kind, norm = settings["kind"], settings.get("norm")
    record = {"kind": kind, "norm": norm, "checked": norm in NORMS, "cases": []}
    if norm in NORMS:
        record["slack"] = _slack(kind)
        oracles = (linear(norm, device), prototypes(norm, device))
        record["cases"] = [_case(settings, oracle, batch, precision) for oracle in oracles]
    missed = [case for case in record["cases"] if case["missed"] > MOST_MISSED * case["reachable"]]
    return record | {"passed": not missed, "reason": "; ".join(map(_sentence, missed))}


def _slack(kind: str) -> float:
    return facts("attacks", kind).get("CHECK_SLACK", SLACK)


def _case(settings: dict, oracle: Oracle, batch: int, precision: str) -> dict:
    """Let the attack go as far as the median exact distance and its slack."""
    slack, norm = _slack(settings["kind"]), settings["norm"]
    reach = float(oracle.exact.median())
    radius = reach * (1 + slack)
    batched = batched_for(oracle.model, settings, batch, precision)
    streams = Streams.of_images(0, range(len(oracle.labels)), "conformance")
    attack = bind(_scaled(settings, radius))
    found = attack(batched, oracle.images, oracle.labels, streams=streams).images
    success = batched(found).argmax(1) != oracle.labels
    far = distance(found, oracle.images, norm)
    bound = oracle.exact * (1 + slack) if is_minimal(settings) else torch.full_like(far, radius)
    reachable = oracle.exact <= reach
    held = success & (far <= bound * (1 + 1e-6))
    return {
        "oracle": oracle.name,
        "reachable": int(reachable.sum()),
        "missed": int((reachable & ~held).sum()),
        "beyond_exact": int((held & (far < oracle.exact * (1 - 1e-3))).sum()),
    }


def _scaled(settings: dict, radius: float) -> dict:
    """Bring an attack's lengths to the oracle's scale."""
    if not takes_eps(settings):
        return without(settings, "eps")
    eps = settings["eps"]
    lengths = {"eps": radius} if not is_minimal(settings) else {"eps": None}
    if settings.get("step") is not None:
        lengths["step"] = settings["step"] / eps * radius if eps else radius
    return settings | lengths


def _sentence(case: dict) -> str:
    return (
        f"missed {case['missed']} of {case['reachable']} images of the {case['oracle']} oracle "
        "whose exact distance is within reach"
    )


def linear(norm: str, device: torch.device) -> Oracle:
    """Give linear logits: the distance is the least margin over its slope's dual norm."""
    weights = _patterns(device)
    images = _images(weights)

    def model(points: Tensor) -> Tensor:
        return LINEAR_SCALE * (points - 0.5).flatten(1) @ weights.T

    return _oracle("linear", norm, model, images, model(images) / LINEAR_SCALE, weights)


def prototypes(norm: str, device: torch.device) -> Oracle:
    """Give minus the distance to a point per class: logits are curved, boundaries are flat."""
    weights = _patterns(device)
    points, images = 0.5 + weights / 4, _images(weights)

    def model(images: Tensor) -> Tensor:
        return -PROTOTYPE_SCALE * (images.flatten(1)[:, None] - points).norm(dim=2)

    scores = -(images.flatten(1)[:, None] - points).square().sum(2)
    return _oracle("prototype", norm, model, images, scores, 2 * points)


def _patterns(device: torch.device) -> Tensor:
    """Give a pattern of plus and minus ones per class [K, D], all equally far apart."""
    matrix = torch.ones(1, 1)
    for _ in range(DOUBLINGS):
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    return matrix[1 : CLASSES + 1].to(device)


def _images(weights: Tensor) -> Tensor:
    """Give images on the way from gray to the patterns, with noise."""
    stream = generator(0, "oracle images")
    noise = NOISE * torch.randn(COUNT, FEATURES, generator=stream)
    depth = DEEP * (0.5 + torch.rand(COUNT, 1, generator=stream))
    chosen = torch.arange(COUNT) % CLASSES
    images = 0.5 + depth * weights.cpu()[chosen] + noise
    return images.clamp(0.25, 0.75).view(COUNT, *SHAPE).to(weights.device)


def _oracle(name: str, norm: str, model, images, scores: Tensor, slopes: Tensor) -> Oracle:
    """Work out distances from scores [N, K], linear in the image with slopes [K, D]."""
    labels = scores.argmax(1)
    margins = (scores.gather(1, labels[:, None]) - scores).double()
    steep = slopes[labels][:, None].double() - slopes.double()
    spans = margins / torch.linalg.vector_norm(steep, DUAL[norm], dim=2).clamp(min=1e-12)
    exact = spans.scatter(1, labels[:, None], torch.inf).amin(1)
    return Oracle(name, model, images, labels, exact)
