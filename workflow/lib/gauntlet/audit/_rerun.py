"""The rerun's means, cheapest first, each on the images that those before it left unbroken."""

import logging
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from gauntlet.attacks.adaptive import adaptive
from gauntlet.attacks.apgd import apgd
from gauntlet.attacks.apgd_t import apgd_t
from gauntlet.attacks.base.bpda import StraightThrough
from gauntlet.attacks.base.losses import margin
from gauntlet.attacks.base.smoothed import Smoothed
from gauntlet.attacks.hopskipjump import hopskipjump
from gauntlet.attacks.rays import rays
from gauntlet.attacks.square import square
from gauntlet.audit._substitutes import NETWORKS, trained, transferred
from gauntlet.audit._survivors import Survivors
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.rng import fixed_draws

logger = logging.getLogger(__name__)
TARGETS, STEPS, TRANSFER_STEPS = 3, 100, 40
# Of eps: how far the noisy copies lie over which gradients are averaged.
REACH, REACH_L2 = 0.5, 0.05
NOISY, SMOOTH_STEPS = 4, 50  # copies of an image, and steps with their gradient
BOUNDARY_STEPS, FIRST_EVALS = 30, 50  # of the attack along the decision boundary


def run_means(
    survivors: Survivors, train: Tensor | None, samples: int, queries: int
) -> Iterator[tuple[str, int]]:
    """Attack by one means after the other: gives each one's name and what it broke.

    `samples` above 1 says that the model answers differently each time; `queries` limits each
    attack without gradients; `train` are images [T, C, H, W] on which substitutes learn.
    """
    for name, means in _means(survivors, train, samples, queries):
        rows = survivors.rows()
        if len(rows) == 0:
            return
        with fixed_draws(survivors.seed, "rerun", name):  # noise of gradients, diverse images
            found = means(name, rows)
        logger.info("%s breaks %d of %d images that were left", name, found, len(rows))
        yield name, found


def _means(s: Survivors, train, samples: int, queries: int) -> Iterator[tuple[str, Callable]]:
    """Name the means in their order; each takes its name and rows, and counts what it breaks."""
    if samples > 1:
        settings = {"samples": samples, "restarts": 1}
        for name, through in (("averaged", False), ("averaged, straight-through", True)):
            own = settings | {"straight_through": through}
            yield name, partial(_attack, s, attack=adaptive, view=s.model, **own)
    else:
        yield from _by_gradients(s)
    if train is not None and len(train):
        yield "substitutes", partial(_substitutes, s, train=train)
    yield "square", partial(_attack, s, attack=square, view=s.model, queries=queries)
    if samples == 1 and s.threat.norm == "linf":
        yield "rays", partial(_attack, s, attack=rays, view=s.model, queries=queries)
    if samples == 1:
        yield "hopskipjump", partial(_boundary, s, queries=queries)


def _by_gradients(s: Survivors) -> Iterator[tuple[str, Callable]]:
    """Name the views of the model that gradients are taken of, and the losses that each raises.

    A view whose gradients are those of another one is left out.
    """
    straight = StraightThrough(s.model)
    views = {
        "plain": s.model,
        "straight-through": straight,
        "through choices": StraightThrough(s.model, through=True),
    }
    losses = {"margin": (apgd, {}), "ce": (apgd, {}), "targets": (apgd_t, {"targets": TARGETS})}
    for view, model in _different(s, views).items():
        for loss, (attack, more) in losses.items():
            own = more | {"steps": STEPS, "loss": "ce" if loss == "ce" else "margin"}
            yield f"{view}, {loss}", partial(_attack, s, attack=attack, view=model, **own)
    reach = s.threat.eps * (REACH if s.threat.norm == "linf" else REACH_L2)
    own = {"attack": apgd, "view": Smoothed(straight, reach, NOISY), "loss": "margin"}
    yield "smoothed", partial(_attack, s, **own, steps=SMOOTH_STEPS)


def _different(s: Survivors, views: dict[str, Callable]) -> dict[str, Callable]:
    """Keep the views that have a gradient, and another one than those before them."""
    rows, kept, seen = s.rows()[: s.batched.batch], {}, []
    for name, view in views.items():
        with fixed_draws(s.seed, "rerun", "views"):
            slope = BatchedModel(view, s.batched.batch).gradient(
                s.images[rows], lambda logits, places: margin(logits, s.labels[rows[places]])
            )[0]
        whole = slope.flatten(1).double()
        if bool(whole.any()) and not any(torch.allclose(whole, one, 1e-3, 1e-9) for one in seen):
            kept[name] = view
            seen.append(whole)
    return kept


def _attack(s: Survivors, name: str, rows: Tensor, attack: Callable, view, **settings) -> int:
    """Run an attack on a view of the model; its examples are judged on the model itself."""
    result = attack(
        BatchedModel(view, s.batched.batch),
        s.images[rows],
        s.labels[rows],
        streams=s.streams(rows, name),
        **{"norm": s.threat.norm, "eps": s.threat.eps} | settings,
    )
    return s.offer(name, rows, result.images, result)


def _boundary(s: Survivors, name: str, rows: Tensor, queries: int) -> int:
    """Walk along the decision boundary, with about as many queries as other attacks have."""
    batched = BatchedModel(s.model, s.batched.batch)
    most = max(FIRST_EVALS, queries // BOUNDARY_STEPS)
    result = hopskipjump(
        batched,
        s.images[rows],
        s.labels[rows],
        streams=s.streams(rows, name),
        norm=s.threat.norm,
        steps=BOUNDARY_STEPS,
        init_evals=FIRST_EVALS,
        max_evals=most,
    )
    return s.offer(name, rows, result.images, result)


def _substitutes(s: Survivors, name: str, rows: Tensor, train: Tensor) -> int:
    """Transfer examples from each substitute, and from all of them together."""
    classes = s.batched(s.images[:1]).shape[1]
    area = (s.threat.norm, s.threat.eps)
    networks = [trained(kind, s.batched, train, classes, *area, s.seed) for kind in NETWORKS]
    return sum(_transferred(s, name, chosen) for chosen in (*([one] for one in networks), networks))


def _transferred(s: Survivors, name: str, networks: list) -> int:
    rows = s.rows()
    if len(rows) == 0:
        return 0
    images, labels = s.images[rows], s.labels[rows]
    made = transferred(networks, images, labels, s.threat.norm, s.threat.eps, TRANSFER_STEPS)
    return s.offer(name, rows, made)
