"""One attack at one or several eps on a user's images, judged as the workflow judges."""

from collections.abc import Callable, Sequence
from dataclasses import fields

import numpy as np
import torch

from gauntlet.api.reports import AttackReport
from gauntlet.api.user_inputs import UserInputs
from gauntlet.core.threat_models import extent
from gauntlet.evaluation.attack_ledger import DISTANCES, PER_IMAGE, SELF, WHITE_BOX, AttackLedger
from gauntlet.stages.craft import POOL, CraftedExamples, EvalImages, craft
from gauntlet.stages.judge import ledger

INTEGERS = ("index", "label", "clean_prediction", "success_query", "forwards", "backwards")
Advance = Callable[[int, str], None]


def attacked(
    inputs: UserInputs, name: str, points: Sequence[dict], spec: dict, advance: Advance
) -> list[AttackReport]:
    """Attack images at every point (eps) in ascending order: one report for each.

    `spec` has seed, batch and precision; `advance` hears how many images are done.
    """
    whole = spec | {"points": list(points), "loss_draws": 0}
    made = _crafted(inputs, whole, advance)
    examples = made.examples.to(inputs.eval_images.images.device)
    rows = list(ledger(inputs.model, whole, inputs.eval_images, examples, WHITE_BOX, made))
    count = len(inputs.eval_images.labels)
    return [
        _report(inputs, name, point, rows[place * count : (place + 1) * count], examples[place])
        for place, point in enumerate(points)
    ]


def _crafted(inputs: UserInputs, spec: dict, advance: Advance) -> CraftedExamples:
    """Attack pool by pool; an image's random numbers do not depend on its pool."""
    made, held = [], 0
    for rows in torch.arange(len(inputs.eval_images.index)).split(spec["batch"] * POOL):
        some: EvalImages = inputs.eval_images.select(slice(int(rows[0]), int(rows[-1]) + 1))
        pool = craft(inputs.model, spec, some)
        held += int(pool.active[-1].sum())
        advance(len(rows), f"{held} of {int(rows[-1]) + 1} still classified correctly")
        made.append(pool)
    names = [field.name for field in fields(CraftedExamples)]
    return CraftedExamples(**{n: torch.cat([getattr(pool, n) for pool in made], 1) for n in names})


def _report(inputs: UserInputs, name: str, point: dict, rows: list[dict], examples) -> AttackReport:
    norm, eps = extent(point)
    found = _ledger(name, norm, float(eps), rows)
    predictions = torch.tensor([int(row["adversarial_prediction"]) for row in rows])
    return AttackReport(
        attack=name,
        norm=norm,
        eps=float(eps),
        settings=dict(point),
        images=examples.to(inputs.home),
        success=torch.from_numpy(found.success).to(inputs.home),
        success_by=found.success_by.tolist(),
        forwards=torch.from_numpy(found.forwards),
        backwards=torch.from_numpy(found.backwards),
        success_query=torch.from_numpy(found.success_query),
        distances={name: torch.from_numpy(getattr(found, name)) for name in DISTANCES},
        predictions=predictions.to(inputs.home),
        clean_predictions=torch.from_numpy(found.clean_prediction).to(inputs.home),
        ledger=found,
        note=str(found.note[0]),
    )


def _ledger(name: str, norm: str, eps: float, rows: list[dict]) -> AttackLedger:
    """Give the judge's rows of one eps as arrays."""
    columns = {key: np.array([row.get(key) for row in rows]) for key in PER_IMAGE}
    columns |= {key: columns[key].astype(np.int64) for key in INTEGERS}
    columns |= {key: columns[key].astype(float) for key in DISTANCES}
    columns["draw_loss"] = np.full(len(rows), np.nan)
    success = np.array([int(row["success"]) == 1 for row in rows])
    where = {"attack": name, "source": SELF, "access": WHITE_BOX, "norm": norm, "eps": eps}
    return AttackLedger(**where, path=name, success=success, **columns)
