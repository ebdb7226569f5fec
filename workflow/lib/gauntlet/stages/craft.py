"""Adversarial examples of one attack against one model."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor, nn

from gauntlet.attacks import bind
from gauntlet.attacks.base.norm_balls import ball
from gauntlet.core import scoring
from gauntlet.core.batched_model import BatchedModel, NonFiniteLogits
from gauntlet.core.errors import GauntletError
from gauntlet.core.image_rng import Streams
from gauntlet.core.plugin_facts import facts
from gauntlet.core.plugins import load, load_module
from gauntlet.core.progress import Progress
from gauntlet.core.threat_models import AttackResult, distance, per_image
from gauntlet.stages import partial

POOL = 4  # chunks of the model that one pool of images fills: what is attacked, and saved, together


@dataclass(frozen=True)
class CraftedExamples:
    """What an attack made of N images at E points; all but `draws` and `draw_loss` are [E, N, ...].

    `forwards`, `backwards` are passes until here, `success_query` the pass that found the example
    at its point, `success_by` the member of `members` that did (-1: none), `active` whether the
    model was right and the attack found nothing. `draws` [E, N, C, H, W]
    are examples of full strength from one random start each, of all images, for transfer and
    training ([E, 0, C, H, W] without draws), `draw_loss` [E, N] their mean loss (NaN without).
    """

    examples: Tensor
    forwards: Tensor
    backwards: Tensor
    success_query: Tensor
    success_by: Tensor
    active: Tensor
    draws: Tensor
    draw_loss: Tensor


@dataclass(frozen=True)
class EvalImages:
    """Images [N, C, H, W], labels [N], their places in the data set, index [N], and its origin.

    `spared` float64 [N], if given: the eps up to which an image is not attacked (-1: none).
    """

    index: Tensor
    images: Tensor
    labels: Tensor
    origin: str = ""
    spared: Tensor | None = None

    def select(self, rows: Tensor | slice) -> "EvalImages":
        """Keep the named rows only."""

        def kept(column: Tensor | None) -> Tensor | None:
            if column is None or isinstance(rows, slice):
                return None if column is None else column[rows]
            return column[rows.to(column.device)]

        columns = map(kept, (self.index, self.images, self.labels))
        return EvalImages(*columns, self.origin, kept(self.spared))

    def open_at(self, point: dict) -> Tensor:
        """Tell which images an attack with these settings must attack: bool [N]."""
        if self.spared is None:
            return torch.ones_like(self.labels, dtype=torch.bool)
        return (self.spared < point["eps"]).to(self.labels.device)


def craft(
    model: nn.Module, spec: dict, eval_images: EvalImages, keep: Path | None = None
) -> CraftedExamples:
    """Attack a model in eval mode at every point (eps) of the spec, in ascending order.

    Images are attacked in pools; a finished pool is saved in the folder `keep`, where the next run
    finds it after an interruption. Images that the model classifies wrongly are not attacked.
    """
    batched = batched_for(model, spec["points"][0], spec["batch"], spec["precision"])
    places = torch.arange(len(eval_images.index)).split(spec["batch"] * POOL)
    names = [field.name for field in fields(CraftedExamples)]
    progress, made, active = Progress("attack", len(eval_images.index)), [], 0
    for number, rows in enumerate(places):
        some = eval_images.select(slice(int(rows[0]), int(rows[-1]) + 1))
        saved = partial.resumed(keep, number, names)
        pool = CraftedExamples(**saved) if saved else _attacked(batched, spec, some)
        partial.save(keep, number, vars(pool))
        made.append(pool)
        active += int(pool.active[-1].sum())
        done = int(rows[-1]) + 1
        note = f"{active} of {done} still classified correctly, {progress.rate(done):.3g} images/s"
        progress.done(done, note, f"robust {active / done:.1%}")
    return CraftedExamples(*(torch.cat([getattr(p, name) for p in made], 1) for name in names))


def batched_for(model, point: dict, batch: int, precision: str) -> BatchedModel:
    """Give the model in batches; float32 for an attack that may lose in a lower precision."""
    lower = facts("attacks", point["kind"]).low_precision
    return BatchedModel(model, batch, precision if lower else "float32")


def members_of(point: dict) -> tuple[str, ...]:
    """Name what `success_by` counts: the members of an ensemble, else the attack's kind."""
    several = getattr(load_module("attacks", point["kind"]), "members", None)
    return tuple(several(point)) if several else (point["kind"],)


def _attacked(batched: BatchedModel, spec: dict, eval_images: EvalImages) -> CraftedExamples:
    right = named(eval_images, lambda: batched(eval_images.images)).argmax(1) == eval_images.labels
    run = _nearest if is_minimal(spec["points"][0]) else _fixed
    found = list(run(batched, spec, eval_images, right))
    columns = [torch.stack(column) for column in zip(*found, strict=True)]
    return CraftedExamples(
        *(column.cpu() for column in (*columns, *_draws(batched, spec, eval_images)))
    )


def named(eval_images: EvalImages, ask: Callable):
    """Call `ask`; GauntletError names the image whose logits are not finite.

    A setting that does not fit the model, which only the attack can know, ends in a sentence too.
    """
    try:
        return ask()
    except NonFiniteLogits as error:
        place = int(eval_images.index[error.row])
        raise GauntletError(
            f"The model's logits at or near image {place} are not finite; allowed are numbers."
        ) from error
    except GauntletError:
        raise
    except ValueError as error:
        raise GauntletError(f"The attack cannot be run on this model: {error}.") from error


def is_minimal(point: dict) -> bool:
    """Tell whether an attack looks for the nearest example, so that one run serves every eps."""
    wanted = _parameters(point)
    return "norm" in wanted and ("eps" not in wanted or wanted["eps"].default is None)


def takes_eps(point: dict) -> bool:
    """Tell whether an attack is given an eps, as all but most minimal-distance attacks are."""
    return "eps" in _parameters(point)


def _parameters(point: dict) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(load("attacks", point["kind"])).parameters


def _fixed(
    batched: BatchedModel, spec: dict, eval_images: EvalImages, right: Tensor
) -> Iterator[tuple]:
    """Attack at one eps after the other; a success at a smaller eps counts at all larger ones."""
    best, active = eval_images.images.clone(), right.clone()
    forwards = torch.zeros_like(eval_images.labels)
    backwards, success_query, by = forwards.clone(), forwards.clone(), forwards - 1
    for point in spec["points"]:
        rows = (active & eval_images.open_at(point)).nonzero().squeeze(1)
        if len(rows):
            attempt = _attempt(batched, spec, point, eval_images.select(rows), "craft")
            best[rows], before = attempt.images, forwards[rows]
            forwards[rows] += attempt.forwards
            backwards[rows] += attempt.backwards
            success = batched(best[rows]).argmax(1) != eval_images.labels[rows]
            success_query[rows] = torch.where(
                success, before + attempt.success_query, success_query[rows]
            )
            by[rows] = torch.where(success, _success_by(attempt), by[rows])
            active[rows] = ~success
        now = (best, forwards, backwards, success_query, by, active)
        yield tuple(values.clone() for values in now)


def _nearest(
    batched: BatchedModel, spec: dict, eval_images: EvalImages, right: Tensor
) -> Iterator[tuple]:
    """Look for the nearest example once; beyond an eps it is pulled into that ball."""
    first = _whole_curve(spec["points"])
    rows = (right & eval_images.open_at(spec["points"][-1])).nonzero().squeeze(1)
    found, forwards = eval_images.images.clone(), torch.zeros_like(eval_images.labels)
    backwards, success_query, by = forwards.clone(), forwards.clone(), forwards - 1
    if len(rows):
        attempt = _attempt(batched, spec, first, eval_images.select(rows), "craft")
        found[rows], forwards[rows] = attempt.images, attempt.forwards
        backwards[rows], success_query[rows] = attempt.backwards, attempt.success_query
        by[rows] = _success_by(attempt)
    span = distance(found, eval_images.images, first["norm"])
    for point in spec["points"]:
        area = ball(eval_images.images, point["norm"], point["eps"])
        near = (span <= point["eps"]) & (success_query > 0)
        best = torch.where(per_image(span <= point["eps"]), found, area.project(found))
        by_then = torch.where(near, by, torch.full_like(by, -1))
        query = torch.where(near, success_query, 0)
        yield best, forwards, backwards, query, by_then, right & ~near


def _whole_curve(points: list[dict]) -> dict:
    """Give the settings of the one run: with one eps it may stop there, with several it may not."""
    return points[0] if len(points) == 1 else points[0] | {"eps": None}


def _attempt(
    batched: BatchedModel, spec: dict, point: dict, eval_images: EvalImages, purpose: str
) -> AttackResult:
    """Run one attack on images, with the random streams that belong to these images."""
    where = (eval_images.origin, purpose, point["kind"], point.get("eps"))
    streams = Streams.of_images(spec["seed"], eval_images.index, *where)
    settings = point if takes_eps(point) or "norm" not in point else without(point, "eps")
    attack = bind(settings | ({} if purpose == "craft" else {"early_stop": False}))
    return named(
        eval_images,
        lambda: attack(batched, eval_images.images, eval_images.labels, streams=streams),
    )


def without(settings: dict, key: str) -> dict:
    """Give settings but for one key."""
    return {name: value for name, value in settings.items() if name != key}


def _success_by(attempt: AttackResult) -> Tensor:
    if attempt.success_by is not None:
        return attempt.success_by
    return torch.where(attempt.success_query > 0, 0, -1)


def _draws(batched: BatchedModel, spec: dict, eval_images: EvalImages) -> tuple[Tensor, Tensor]:
    """Make random examples of full strength for every image; keep the first, average the loss."""
    count, firsts, means = spec["loss_draws"], [], []
    for point in spec["points"]:
        once = point | {key: 1 for key in ("restarts", "draws") if key in point}
        total = torch.zeros(len(eval_images.labels))
        for draw in range(count):
            examples = _attempt(batched, spec, once, eval_images, f"draw {draw}").images
            total += scoring.score(batched, examples, eval_images.labels).loss
            firsts += [examples] if draw == 0 else []
        means.append(total / count if count else total + torch.nan)
    kept = firsts or [eval_images.images[:0]] * len(spec["points"])
    return torch.stack(kept), torch.stack(means)
