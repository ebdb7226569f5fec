"""Random networks whose certificates are held against everything that could break them.

    python -m tests.certify.fuzz --count 10000 --seed 0        (`make fuzz COUNT=10000 SEED=0`)

A certificate is taken at the edge of what it proves. Against it stand gradient descent on the
margin, 10,000 random points, and for small networks of kinks the exact least margin. A network may
be refused, in one sentence; anything else that is raised counts as a failure.
"""

import argparse
import collections
import copy
import random
import sys
import time
import warnings
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gauntlet.certify._bounds import bound
from gauntlet.certify._network import evaluate_all, follow, read_network
from gauntlet.certify._region import region
from gauntlet.certify._rounding import cancels
from gauntlet.certify.crown import crown
from gauntlet.certify.ibp import ibp
from gauntlet.core.errors import Uncertifiable
from tests.helpers.exact_margins import exact_margin
from tests.helpers.random_networks import network

METHODS = {
    "ibp": (ibp, {}),
    "crown": (crown, {}),
    "crown, inner ibp": (crown, {"intermediate": "ibp"}),
    "fast_lin": (crown, {"slopes": "fast_lin"}),
    "alpha": (crown, {"slopes": "alpha", "steps": 4}),
}
POINTS = 10_000
CEILING = 0.4
EVERY = 500  # networks between two lines that say how far it has come
ORDERS = {"linf": torch.inf, "l2": 2.0, "l1": 1.0}
TEXTS = ("\n", "Traceback", "executing", "Error", "torch.fx")


@dataclass
class Outcome:
    """What one network gave: its proofs, or why it was refused, and what is wrong."""

    proofs: int = 0
    exact: int = 0
    refused: str = ""
    faults: list[str] = field(default_factory=list)


def examine(seed: int, points: int = POINTS, strange: float = 0.1) -> Outcome:
    """Certify one random network, and try to break what is proven."""
    model, images = network(seed, strange)
    source, outcome = random.Random(seed + 1), Outcome()
    if source.random() < 0.3:
        images = images[:1]
    name, norm = source.choice(sorted(METHODS)), source.choice(sorted(ORDERS))
    prove, chosen = METHODS[name]
    more = {"norm": norm, "eps": 0.02, "radius": True, "ceiling": CEILING}
    if source.random() < 0.5:
        more |= {"eps": source.uniform(0.005, 0.1), "radius": False}
    more["batch"] = source.choice((1, 2, 3))
    try:
        with torch.no_grad():
            labels = torch.cat([model(image[None].clone()) for image in images]).argmax(1)
        assert labels.shape == images.shape[:1]
    except (RuntimeError, IndexError, ValueError, AssertionError):
        outcome.refused = "the network takes no single image"
        return outcome
    try:
        found = prove(model, images, labels, **more, **chosen)
    except Uncertifiable as error:
        outcome.refused = str(error)
        if any(text in outcome.refused for text in TEXTS):
            outcome.faults.append(f"unclean refusal: {outcome.refused}")
        return outcome
    except Exception as error:  # a user would see its traceback
        outcome.faults.append(f"{type(error).__name__}: {str(error)[:200]}")
        return outcome
    for row in (found.radius > 0).nonzero().flatten().tolist():
        case = (images[row], int(labels[row]), norm, float(found.radius[row]))
        outcome.proofs += 1
        outcome.faults += [
            f"{name} {norm}: {fault}" for fault in _broken(model, *case, points, seed)
        ]
        least = _exact(model, *case)
        outcome.exact += least is not None
        if least is not None and least < 0:
            outcome.faults.append(f"{name} {norm}: the exact margin is {least}")
    outcome.faults += _outside(model, images, norm, seed)
    return outcome


def _broken(model, image: Tensor, label: int, norm: str, eps: float, points: int, seed: int):
    """Give what breaks a proof at one image."""
    stream = torch.Generator().manual_seed(seed)
    tried = within(image, norm, eps, points, stream)
    if _hits(model, tried, label):
        yield "a random point breaks it"
    if _hits(model, descended(model, image, label, norm, eps, stream), label):
        yield "gradient descent breaks it"


def _hits(model: nn.Module, tried: Tensor, label: int) -> int:
    """Count images that one pass of three each takes for another class."""
    with torch.no_grad():
        return int((model(tried.clone()).argmax(1) != label).sum())


def within(image: Tensor, norm: str, eps: float, count: int, stream) -> Tensor:
    """Draw points of a ball, half of them on its faces, cut by [0, 1]: [count, C, H, W]."""
    noise = torch.randn(count, *image.shape, generator=stream)
    if norm == "linf":
        noise = noise.clamp(-1, 1)
        noise[::2] = noise[::2].sign()
        return (image + eps * noise).clamp(0, 1)
    if norm == "l1":
        noise = noise * (torch.rand(noise.shape, generator=stream) < 0.15)
    length = torch.linalg.vector_norm(noise.flatten(1), ORDERS[norm], dim=1).clamp(min=1e-9)
    far = torch.ones(count)
    far[1::2] = torch.rand(far[1::2].shape, generator=stream)
    return (image + noise * (eps * far / length).view(-1, 1, 1, 1)).clamp(0, 1)


def descended(model, image: Tensor, label: int, norm: str, eps: float, stream) -> Tensor:
    """Descend the margin from 24 starts: signs, normalised gradients or single pixels."""
    points = within(image, norm, eps, 24, stream)
    for number in range(30):
        points = points.requires_grad_(True)
        try:
            gradient = _gradient(model, points, label)
        except RuntimeError:  # it detaches its values, or overwrites what a gradient needs
            return points.detach()
        step = eps * (0.5 if number < 8 else 0.1 if number < 22 else 0.02)
        moved = points.detach() - step * _direction(gradient, norm)
        points = _back(moved, image, norm, eps)
    return points


@torch.enable_grad()
def _gradient(model: nn.Module, points: Tensor, label: int) -> Tensor:
    logits = model(points.clone())
    others = logits.masked_fill(torch.arange(logits.shape[1]) == label, -torch.inf)
    return torch.autograd.grad((logits[:, label] - others.amax(1)).sum(), points)[0]


def _direction(gradient: Tensor, norm: str) -> Tensor:
    if norm == "linf":
        return gradient.sign()
    flat = gradient.flatten(1)
    if norm == "l1":
        best = torch.zeros_like(flat).scatter_(1, flat.abs().topk(2, 1).indices, 0.5)
        return (best * flat.sign()).view_as(gradient)
    return gradient / flat.norm(dim=1).clamp(min=1e-20).view(-1, 1, 1, 1)


def _back(points: Tensor, image: Tensor, norm: str, eps: float) -> Tensor:
    shift = points - image
    if norm == "linf":
        return (image + shift.clamp(-eps, eps)).clamp(0, 1)
    length = torch.linalg.vector_norm(shift.flatten(1), ORDERS[norm], dim=1).clamp(min=1e-12)
    return (image + shift * (eps / length).clamp(max=1).view(-1, 1, 1, 1)).clamp(0, 1)


def _exact(model: nn.Module, image: Tensor, label: int, norm: str, eps: float) -> float | None:
    if norm != "linf":
        return None
    return exact_margin(
        follow(copy.deepcopy(model).double(), image[None].double()), image, label, eps
    )


def _outside(model: nn.Module, images: Tensor, norm: str, seed: int):
    """Give the operations whose values leave their bounds, or differ from the model.

    Where large terms cancel, bounds are taken in float64, as `prove` does.
    """
    nodes, images = read_network(model, images[:1]), images[:1]
    stream = torch.Generator().manual_seed(seed + 2)
    tried = within(images[0], norm, 0.1, 500, stream)
    with torch.no_grad():
        own, given = model(tried.clone()), evaluate_all(nodes, tried)[-1]
    if own.shape != given.shape or float((own - given).abs().max()) > 1e-3 * (
        1 + float(own.abs().max())
    ):
        yield "the operations are not the model"
    if cancels(nodes, images):
        images, tried = images.double(), tried.double()
        nodes = follow(copy.deepcopy(model).double(), images)
    values = evaluate_all(nodes, tried)
    for refine in (False, True):
        found = bound(nodes, region(images, norm, 0.1), refine=refine)
        for node, value, (low, high) in zip(nodes, values, found.intervals, strict=True):
            slack = 1e-4 * float(torch.maximum(low.abs(), high.abs()).amax()) + 1e-6
            if not (value >= low - slack).all() or not (value <= high + slack).all():
                yield f"values of {type(node.op).__name__} lie outside their bounds"


def main() -> None:
    """Examine many networks; a fault is printed with its seed, and ends in exit code 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strange", type=float, default=0.1, help="share of odd blocks")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of networks that are strange on purpose
    torch.set_num_threads(1)
    start, total, refused = time.monotonic(), collections.Counter(), collections.Counter()
    for seed in range(options.seed, options.seed + options.count):
        outcome = examine(seed, strange=options.strange)
        total.update(networks=1, proofs=outcome.proofs, exact=outcome.exact)
        total.update(refused=bool(outcome.refused), faults=len(outcome.faults))
        refused[outcome.refused[:110]] += bool(outcome.refused)
        for fault in outcome.faults:
            print(f"seed {seed}: {fault}", flush=True)
        if total["networks"] % EVERY == 0:
            print(f"{dict(total)} in {time.monotonic() - start:.0f} s", flush=True)
        if time.monotonic() - start > options.seconds:
            break
    print(dict(total), f"{time.monotonic() - start:.0f} s")
    for reason, count in refused.most_common(60):
        print(f"{count:6d}  {reason}")
    sys.exit(total["faults"] > 0)


if __name__ == "__main__":
    main()
