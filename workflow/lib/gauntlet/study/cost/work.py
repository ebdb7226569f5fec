"""The work of each kind of job, counted from its specification and its data set's known sizes.

Standard library only. Counts are of passes without early falls: what a job takes at most. They
decide no result; they size jobs and foretell what a study costs.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gauntlet.study.cost.attack_passes import Passes, attack_passes, climb, draw_passes
from gauntlet.study.cost.dataset_sizes import Population
from gauntlet.study.cost.model_flops import Cost, cost_of
from gauntlet.study.models import TEN
from gauntlet.study.resolve import MINIMAL

Spec = Mapping[str, Any]
BACKWARD, UPDATE = 1.0, 2.0  # of a gradient by the image, and by the weights, in forward passes
CALL = 12e6  # multiply-adds that showing a network some images costs, however few and small
PER_VALUE = 200  # multiply-adds that a pass costs for each value of an image
JUDGED = 4  # passes that each point's examples are shown in, to judge and to round them
CHECKED, CHECK_PIXELS = 80, 64  # images and values of the models that attacks are held against
AUDITED, AUDIT_ELSE = 20, 300  # climbs of an audit's steps, and passes besides, per image
BOUND = 2  # passes that intervals cost
OPEN = 0.1  # share of a network's values that crown bounds one by one
SEARCH = 8  # halvings of a certificate's search for the largest radius


class Work(NamedTuple):
    """Passes times images of a job (`updates`: by the weights), and what one image costs.

    `kind` is the attack's, the defense's or the certificate's; `together` are the images that the
    network is shown at once, on average; `rows` are lines of ledgers that a table's job reads, or
    images that a data job handles.
    """

    rule: str
    kind: str = ""
    forwards: float = 0.0
    backwards: float = 0.0
    updates: float = 0.0
    cost: Cost = Cost()
    pixels: int = 0
    together: float = 128.0
    rows: float = 0.0

    @property
    def effort(self) -> float:
        """Give all passes in multiply-adds; for jobs without a model their rows."""
        passes = self.forwards + BACKWARD * self.backwards + UPDATE * self.updates
        each = self.cost.macs + PER_VALUE * self.pixels + CALL / self.together
        return passes * each or self.rows


def work_of(rule: str, spec: Spec, people: Population | None) -> Work:
    """Count the work of a job of a rule; `people` is its data set, None where it has none."""
    count = COUNTERS.get(rule)
    kind = kind_of(rule, spec)
    if count is None or (people is None and rule != "check_attacks"):
        return Work(rule, kind, rows=1.0)
    work = count(spec, people)
    if isinstance(spec.get("model"), dict) and people is not None:
        cost = cost_of(spec["model"], people.shape, people.classes)
        together = _together(spec, people)
        work = work._replace(cost=cost, pixels=people.pixels, together=together)
    return work._replace(rule=rule, kind=kind)


def _together(spec: Spec, people: Population) -> float:
    """Count the images that a network is shown at once, on average."""
    if "training" in spec:
        images, batch = people.train, spec["training"]["batch"]
    else:
        images, batch = getattr(people, spec.get("part", "test")), spec.get("batch", 1)
    return images / max(math.ceil(images / batch), 1) or 1.0


def kind_of(rule: str, spec: Spec) -> str:
    """Name what decides a job's rate besides its network."""
    if rule == "train_model":
        return spec["defense"]["kind"]
    if rule == "certify_robustness":
        return "-".join(str(spec["certificate"][0].get(k, "")) for k in ("kind", "slopes"))
    if rule in ("craft_examples", "craft_shard", "check_attacks", "transfer_examples"):
        return spec["points"][0]["kind"]
    return ""


def _train(spec: Spec, people: Population) -> Work:
    training = spec["training"]
    images = people.train * training["epochs"]
    own, updates = _loss(spec["defense"], training, people)
    seen = _validation(training["validation_attack"], people)
    watched = people.validation * training["epochs"]
    return Work(
        "train_model",
        forwards=own.forwards * images + seen.forwards * watched,
        backwards=own.backwards * images + seen.backwards * watched,
        updates=updates * images,
    )


def _loss(defense: Spec, training: Spec, people: Population) -> tuple[Passes, int]:
    """Count the passes of one image's loss, and how many of them reach the weights."""
    kind, twice = defense["kind"], 2 if defense.get("clean_share") else 1
    if kind == "static":
        return Passes(2), 2
    if kind == "adversarial":
        return Passes(twice) + _inner(defense["attack"], people), twice
    if kind == "trades":
        return Passes(3) + _inner(defense["attack"], people), 2
    if kind == "ibp":
        return Passes(1 + BOUND), 1 + BOUND
    if kind == "crown_ibp":
        linear = round(training["ramp"] * people.classes)
        return Passes(1 + BOUND + linear), 1 + BOUND + linear
    return Passes(1), 1


def _inner(point: Spec, people: Population) -> Passes:
    """Count the attack inside training, whose last example is not judged."""
    found = draw_passes(point, people.pixels, people.classes)
    return Passes(found.forwards - 1, found.backwards)


def _validation(point: Spec, people: Population) -> Passes:
    robust = attack_passes(point, people.pixels, people.classes)
    return Passes(3) + climb(1) + robust


def _craft(spec: Spec, people: Population) -> Work:
    images = getattr(people, spec["part"])
    if "shard" in spec:
        images /= int(spec["shard"].split("-of-")[1])
    points, size = spec["points"], (people.pixels, people.classes)
    nearest = points[0]["kind"] in MINIMAL
    tried = [attack_passes(point, *size) for point in (points[:1] if nearest else points)]
    tried += [draw_passes(point, *size).times(spec["loss_draws"]) for point in points]
    total = sum(tried, Passes(2 + JUDGED * len(points)))
    return Work("", forwards=total.forwards * images, backwards=total.backwards * images)


def _check(spec: Spec, people: Population | None) -> Work:
    tried = [attack_passes(point, CHECK_PIXELS, TEN) for point in spec["points"]]
    total = sum(tried, Passes(1))
    cost = Cost(CHECK_PIXELS * TEN, CHECK_PIXELS * TEN, TEN)
    passes = {"forwards": total.forwards * CHECKED, "backwards": total.backwards * CHECKED}
    return Work("", **passes, cost=cost, pixels=CHECK_PIXELS, together=CHECKED // 2)


def _certify(spec: Spec, people: Population) -> Work:
    images, points = getattr(people, spec["part"]), spec["certificate"]
    if points[0]["kind"] == "smoothing":
        return Work("", forwards=images * (points[0]["n0"] + points[0]["n"] + 1))
    bounded = len(points) + SEARCH * sum(bool(point.get("radius")) for point in points)
    each: float = BOUND * 2
    if points[0]["kind"] == "crown":
        cost = cost_of(spec["model"], people.shape, people.classes)
        each += _linear(points[0], cost.values, people.classes)
    return Work("", forwards=images * (bounded * each + 2))


def _linear(point: Spec, values: float, classes: int) -> float:
    """Count the passes of linear bounds of one image: back to it from classes and from values."""
    back = 2 * classes
    back *= 1 + (2 * point["steps"] if point["slopes"] == "alpha" else 0)
    return back + (OPEN * values if point["intermediate"] == "crown" else 0)


def _transfer(spec: Spec, people: Population) -> Work:
    return Work("", forwards=people.test * (2 + JUDGED * len(spec["points"])))


def _audit(spec: Spec, people: Population) -> Work:
    images, budget = min(spec["images"], people.test), spec["budget"]
    climbs = AUDITED * budget["steps"]
    asked = climbs + budget["queries"] + AUDIT_ELSE
    return Work("", forwards=images * asked, backwards=images * climbs)


def _rerun(spec: Spec, people: Population) -> Work:
    passes = attack_passes({"kind": "adaptive"}, people.pixels, people.classes)
    images = people.test * len(spec["threats"])
    return Work("", forwards=images * passes.forwards, backwards=images * passes.backwards)


def _import(spec: Spec, people: Population) -> Work:
    return Work("", forwards=8 * people.validation, backwards=people.validation)


def _evaluate(spec: Spec, people: Population) -> Work:
    ledgers = sum(len(spec[key]) for key in ("attacks", "transfer", "certificates"))
    return Work("", rows=people.test * ledgers)


def _data(spec: Spec, people: Population) -> Work:
    return Work("", rows=people.train + people.validation + people.test)


COUNTERS: dict[str, Callable[[Spec, Any], Work]] = {
    "audit_model": _audit,
    "certify_robustness": _certify,
    "check_attacks": _check,
    "craft_examples": _craft,
    "craft_shard": _craft,
    "download_data": _data,
    "evaluate_robustness": _evaluate,
    "import_model": _import,
    "rerun_attack": _rerun,
    "split_data": _data,
    "train_model": _train,
    "transfer_examples": _transfer,
}
