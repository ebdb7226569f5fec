"""The work of each kind of job, counted from its specification and its data set's known sizes.

Standard library only. Passes are counted as if no image were misclassified early: what a job takes
at most. They decide no result; they size jobs and predict what a study costs.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gauntlet.core.plugin_facts import facts
from gauntlet.study.cost.attack_passes import Passes, attack_passes, draw_passes
from gauntlet.study.cost.dataset_sizes import DatasetSizes
from gauntlet.study.cost.model_flops import Cost, cost_of
from gauntlet.study.formula import value_of

Spec = Mapping[str, Any]
BACKWARD, UPDATE = 1.0, 2.0  # of a gradient by the image, and by the weights, in forward passes
CALL = 12e6  # multiply-adds that showing a network some images costs, however few and small
PER_VALUE = 200  # multiply-adds that a pass costs for each value of an image
JUDGED = 4  # passes that each point's examples are shown in, to judge and to round them
ORACLES = DatasetSizes(0, 0, 80, (1, 8, 8), 10)  # the images that attacks are checked on
ORACLE_COST = Cost(640, 640, 10)
AUDITED, AUDIT_ELSE = 20, 300  # attacks of an audit's steps, and passes besides, per image
RERUN_PASSES, SEARCHES, SUBSTITUTES = 1700, 3, 100  # of an image; attacks by queries; of training
VALIDATED = 5  # passes of a validation image besides those of its attack
SEARCH = 8  # halvings of a certificate's search for the largest radius


class Work(NamedTuple):
    """Passes times images of a job (`updates`: by the weights), and what one image costs.

    `kind` is the attack's, the defense's or the certificate's; `together` are the images that the
    network is shown at once, on average; `rows` are the rows of ledgers that a table's job reads,
    or the images that a data job handles.
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


def work_of(rule: str, spec: Spec, sizes: DatasetSizes | None) -> Work:
    """Count the work of a job of a rule; `sizes` is None for a job without a data set.

    A trial is counted as the training that it is.
    """
    rule = "train_model" if rule == "run_trial" else rule
    kind, count = kind_of(rule, spec), COUNTERS.get(rule)
    if rule == "check_attacks":
        passes = _sum(attack_passes(p, ORACLES.pixels, ORACLES.classes) for p in spec["points"])
        found = (passes + Passes(1)).times(ORACLES.test)
        return Work(rule, kind, *found, 0.0, ORACLE_COST, ORACLES.pixels, ORACLES.test // 2)
    if rule in ROWS and sizes is not None:
        return Work(rule, kind, rows=ROWS[rule](spec, sizes))
    if count is None or sizes is None:
        return Work(rule, kind, rows=1.0)
    found, updates = count(spec, sizes), 0.0
    if rule == "train_model":
        updates = _value("UPDATES", spec, sizes) * _shown(spec, sizes) * spec["training"]["epochs"]
    cost = cost_of(spec["model"], sizes.shape, sizes.classes) if "model" in spec else Cost()
    cost += _step_cost(spec, sizes, cost)
    pixels = sizes.pixels if "model" in spec else 0
    return Work(rule, kind, *found, updates, cost, pixels, _together(spec, sizes))


def _together(spec: Spec, sizes: DatasetSizes) -> float:
    """Count the images that a network is shown at once, on average."""
    if "training" in spec:
        images, batch = sizes.train, spec["training"]["batch"]
    else:
        images, batch = getattr(sizes, spec.get("part", "test")), spec.get("batch", 1)
    return images / max(math.ceil(images / batch), 1) or 1.0


def kind_of(rule: str, spec: Spec) -> str:
    """Name what decides a job's rate besides its network."""
    if rule == "train_model":
        return spec["defense"]["kind"]
    if rule in STEPPED:
        return spec["preprocess"]["kind"]
    if rule == "certify_robustness":
        return "-".join(str(spec["certificate"][0].get(k, "")) for k in ("kind", "slopes"))
    if rule in ("craft_examples", "craft_shard", "check_attacks", "transfer_examples"):
        return spec["points"][0]["kind"]
    return ""


def _sum(passes) -> Passes:
    return sum(passes, Passes())


def _value(name: str, spec: Spec, sizes: DatasetSizes) -> float:
    """Evaluate a formula of a training's defense: by default one pass, that reaches the weights."""
    known = facts("training.defenses", spec["defense"]["kind"])
    names = {**known.names, **spec["training"], **spec["defense"], "classes": sizes.classes}
    each = value_of(known.get(name, "0" if name == "BACKWARDS" else "1"), names)
    perturbed = spec["training"]["awp"]
    return each * (2 - perturbed["start"] if perturbed else 1)


def _shown(spec: Spec, sizes: DatasetSizes) -> float:
    """Count the images of an epoch of training, further ones included."""
    extra = spec["training"]["extra"]
    return sizes.train / (1 - extra["share"]) if extra else sizes.train


def training_passes(spec: Spec, sizes: DatasetSizes) -> Passes:
    """Count the passes of one image in one epoch of a training, without those of validation.

    A gradient by the image and one by the weights are a backward pass each.
    """
    return _loss_passes(spec, sizes) + Passes(0.0, _value("UPDATES", spec, sizes))


def _loss_passes(spec: Spec, sizes: DatasetSizes) -> Passes:
    loss = Passes(_value("FORWARDS", spec, sizes), _value("BACKWARDS", spec, sizes))
    if "attack" in spec["defense"]:  # its last example is not judged
        drawn = draw_passes(spec["defense"]["attack"], sizes.pixels, sizes.classes)
        loss += drawn + Passes(-1)
    return loss


def _train(spec: Spec, sizes: DatasetSizes) -> Passes:
    training, size = spec["training"], (sizes.pixels, sizes.classes)
    loss = _loss_passes(spec, sizes)
    seen = attack_passes(training["validation_attack"], *size) + Passes(VALIDATED, 1)
    epoch = loss.times(_shown(spec, sizes)) + seen.times(sizes.validation)
    return epoch.times(training["epochs"])


def _craft(spec: Spec, sizes: DatasetSizes) -> Passes:
    images = getattr(sizes, spec["part"])
    if "shard" in spec:
        images /= int(spec["shard"].split("-of-")[1])
    points, size = spec["points"], (sizes.pixels, sizes.classes)
    once = facts("attacks", points[0]["kind"]).minimum_norm
    made = _sum(attack_passes(point, *size) for point in (points[:1] if once else points))
    drawn = _sum(draw_passes(point, *size).times(spec["loss_draws"]) for point in points)
    return (made + drawn + Passes(2 + JUDGED * len(points))).times(images)


def _certify(spec: Spec, sizes: DatasetSizes) -> Passes:
    points, cost = spec["certificate"], cost_of(spec["model"], sizes.shape, sizes.classes)
    known = facts("certify", points[0]["kind"])
    bounds = len(points) + SEARCH * sum(bool(point.get("radius")) for point in points)
    own = {"bounds": bounds, "classes": sizes.classes, "values": cost.values}
    each = value_of(known.get("FORWARDS", "2 + bounds"), {**known.names, **points[0], **own})
    return Passes(each * getattr(sizes, spec["part"]))


def _audit(spec: Spec, sizes: DatasetSizes) -> Passes:
    steps = AUDITED * spec["budget"]["steps"]
    each = Passes(steps + spec["budget"]["queries"] + AUDIT_ELSE, steps)
    return each.times(min(spec["images"], sizes.test))


def _rerun(spec: Spec, sizes: DatasetSizes) -> Passes:
    gradients = Passes(RERUN_PASSES, RERUN_PASSES)
    each = gradients + Passes(SEARCHES * spec["queries"])
    learned = Passes(SUBSTITUTES).times(sizes.train)
    return each.times(sizes.test * len(spec["threats"])) + learned.times(len(spec["threats"]))


def _step_cost(spec: Spec, sizes: DatasetSizes, network: Cost) -> Cost:
    """Give what a step before the network adds to one pass of an image."""
    if "preprocess" not in spec:
        return Cost()
    known = facts("preprocess", spec["preprocess"]["kind"])
    names = {**known.names, **spec["preprocess"], "network": network.macs}
    names |= {"pixels": sizes.pixels, "places": sizes.pixels // sizes.shape[0]}
    return Cost(value_of(known.get("MACS", "pixels"), names))


def _fit_step(spec: Spec, sizes: DatasetSizes) -> Passes:
    known = facts("preprocess", spec["preprocess"]["kind"])
    names = {**known.names, **spec["preprocess"]}
    each = value_of(known.get("FITTING", "epochs" if "epochs" in names else "1"), names)
    return Passes(each * sizes.train)


def _show_to_step(spec: Spec, sizes: DatasetSizes) -> Passes:
    sets = sum(len(one["points"]) * (1 + one["drawn"]) for one in spec["attacks"])
    return Passes((1 + sets) * (1 + spec["draws"]) * sizes.test)


def _attack_step(spec: Spec, sizes: DatasetSizes) -> Passes:
    size = (sizes.pixels, sizes.classes)
    made = _sum(attack_passes(point, *size) for point in spec["points"])
    return (made + Passes(2 * spec["draws"] * len(spec["points"]))).times(sizes.test)


STEPPED = ("fit_preprocess", "preprocess_examples", "attack_preprocess")
COUNTERS: dict[str, Callable[[Spec, DatasetSizes], Passes]] = {
    "audit_model": _audit,
    "attack_preprocess": _attack_step,
    "certify_robustness": _certify,
    "craft_examples": _craft,
    "craft_shard": _craft,
    "fit_preprocess": _fit_step,
    "import_model": lambda spec, sizes: Passes(8, 1).times(sizes.validation),
    "preprocess_examples": _show_to_step,
    "rerun_attack": _rerun,
    "train_model": _train,
    "transfer_examples": lambda spec, sizes: Passes(
        sizes.test * (2 + JUDGED * len(spec["points"]))
    ),
}
ROWS: dict[str, Callable[[Spec, DatasetSizes], float]] = {
    "download_data": lambda spec, sizes: sizes.train + sizes.validation + sizes.test,
    "evaluate_robustness": lambda spec, sizes: (
        sizes.test * sum(len(spec[key]) for key in ("attacks", "transfer", "certificates"))
    ),
    "split_data": lambda spec, sizes: sizes.train + sizes.validation + sizes.test,
}
