"""Certificates of one kind for one model: pool by pool, at every eps."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from gauntlet import certify
from gauntlet.core import scoring
from gauntlet.core.batched_model import BatchedModel, NonFiniteLogits
from gauntlet.core.errors import GauntletError, Uncertifiable
from gauntlet.core.image_rng import Streams
from gauntlet.core.progress import Progress
from gauntlet.evaluation.certificate_ledger import BASE, SMOOTHED
from gauntlet.stages import partial
from gauntlet.stages.craft import EvalImages

logger = logging.getLogger(__name__)

NEAR = 1e-6  # relative: a radius this close to an eps that is proven is that eps


@dataclass(frozen=True)
class Proven:
    """What is proven about N images at E eps; `note` says why nothing could be."""

    radius: Tensor  # float64 [N], the largest
    margin: Tensor  # float64 [E, N]
    certified: Tensor  # bool [E, N]
    abstained: Tensor  # bool [N]
    note: str = ""


def prove(
    model: nn.Module, spec: dict, eval_images: EvalImages, keep: Path | None = None
) -> Proven:
    """Certify images at every point (eps) of the spec; the model is in eval mode, in float32.

    A finished pool of images is saved in the folder `keep`, and found there by a run that was
    interrupted. A model that the kind cannot read gets no certificate, and a note.
    """
    made, holding = [], 0
    names = ("radius", "margin", "certified", "abstained")
    progress = Progress("certify", len(eval_images.index))
    for number, rows in enumerate(torch.arange(len(eval_images.index)).split(spec["batch"])):
        some = eval_images.select(slice(int(rows[0]), int(rows[-1]) + 1))
        try:
            pool = partial.resumed(keep, number, names) or _pool(model, spec, some)
        except Uncertifiable as error:
            logger.warning("no certificate: %s", error)
            return _nothing(spec, len(eval_images.index), str(error))
        partial.save(keep, number, pool)
        made.append(pool)
        holding += int(pool["certified"][0].sum())
        done = int(rows[-1]) + 1
        eps = spec["certificate"][0]["eps"]
        progress.done(done, f"{holding} of {done} certified at {eps:g}")
    return Proven(**{name: torch.cat([pool[name] for pool in made], -1) for name in names})


def _pool(model: nn.Module, spec: dict, eval_images: EvalImages) -> dict[str, Tensor]:
    """Certify one pool; what holds at an eps holds at every smaller one."""
    points = spec["certificate"]
    if not certify.deterministic(points[0]["kind"]):
        return _smoothed(model, spec, eval_images)
    found = [_asked(model, spec, point, eval_images) for point in points]
    radius = torch.stack([one.radius.cpu() for one in found]).amax(0)
    for point, one in zip(points, found, strict=True):
        near = (radius - point["eps"]).abs() <= NEAR * point["eps"]
        sure = one.certified.cpu() & (near | (radius < point["eps"]))
        radius = torch.where(sure, point["eps"], radius)
    return {
        "radius": radius,
        "margin": torch.stack([one.margin.cpu() for one in found]),
        "certified": _reaching(radius, points),
        "abstained": torch.zeros_like(radius, dtype=torch.bool),
    }


def _smoothed(model: nn.Module, spec: dict, eval_images: EvalImages) -> dict[str, Tensor]:
    """Draw once: a smoothed radius serves every eps, and its margin is radius - eps."""
    points = spec["certificate"]
    found = _asked(BatchedModel(model, spec["batch"]), spec, points[-1], eval_images)
    margins = [found.margin + (points[-1]["eps"] - point["eps"]) for point in points]
    return {
        "radius": found.radius,
        "margin": torch.stack(margins),
        "certified": _reaching(found.radius, points),
        "abstained": found.abstained,
    }


def _reaching(radius: Tensor, points: list[dict]) -> Tensor:
    return torch.stack([(radius > 0) & (radius >= point["eps"]) for point in points])


def _asked(model, spec: dict, point: dict, eval_images: EvalImages) -> certify.Certificate:
    """Ask one kind at one eps.

    GauntletError names an image whose logits are no numbers, or the kind that refuses a setting or
    what the model gives.
    """
    where = (eval_images.origin, "certify", point["kind"])
    streams = Streams.of_images(spec["seed"], eval_images.index, *where)
    try:
        return certify.certify(model, eval_images.images, eval_images.labels, point, streams)
    except NonFiniteLogits as error:
        raise GauntletError(
            f"The model's logits at or near image {int(eval_images.index[error.row])} are not "
            f"finite; allowed are numbers."
        ) from error
    except Uncertifiable:
        raise
    except ValueError as error:
        reason = str(error).rstrip(".")
        raise GauntletError(
            f"The certificate {point['kind']} cannot be made for this model: {reason}."
        ) from error


def _nothing(spec: dict, count: int, note: str) -> Proven:
    none = torch.zeros(count, dtype=torch.float64)
    margin = torch.full((len(spec["certificate"]), count), -torch.inf, dtype=torch.float64)
    return Proven(none, margin, margin > 0, none > 0, note)


def rows(model: nn.Module, spec: dict, eval_images: EvalImages, found: Proven) -> Iterator[dict]:
    """Give one row per image and eps: a certificate's ledger."""
    predicted = scoring.predict(BatchedModel(model, spec["batch"]), eval_images.images).tolist()
    kind = spec["certificate"][0]["kind"]
    classifier = BASE if certify.deterministic(kind) else SMOOTHED
    images = list(
        zip(eval_images.index.tolist(), eval_images.labels.tolist(), predicted, strict=True)
    )
    for number, point in enumerate(spec["certificate"]):
        constants = {"classifier": classifier, "norm": point["norm"], "note": found.note}
        constants["eps"] = repr(float(point["eps"]))
        for place, (index, label, prediction) in enumerate(images):
            yield constants | {
                "index": index,
                "label": label,
                "clean_prediction": prediction,
                "certified": int(found.certified[number, place]),
                "radius": repr(float(found.radius[place])),
                "margin": f"{float(found.margin[number, place]):.7g}",
                "abstained": int(found.abstained[place]),
            }
