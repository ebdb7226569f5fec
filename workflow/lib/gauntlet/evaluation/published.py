"""Rows of a study beside published numbers: inside, outside, or why they cannot be compared."""

import math
from collections.abc import Iterator, Sequence

from gauntlet.evaluation.attack_ledger import WHITE_BOX
from gauntlet.evaluation.metrics import Z95
from gauntlet.evaluation.reference_check import INSIDE, MEASURES, OTHER, OUTSIDE
from gauntlet.evaluation.summary import MODEL

NONE = "nothing published"
SETUP = ("arch", "epochs", "images", "selection")  # of a training, in the order of telling
ALWAYS = ("n",)


def beside(
    rows: Sequence[dict], setups: Sequence[dict], published: Sequence[dict], tolerance: float
) -> list[dict]:
    """Hold each model, at each norm and eps, against what is published of its kind.

    `rows` are those of summary.csv as texts, `setups` say how each (dataset, model, defense) is
    trained: data, kind, single_step, arch, epochs, images, selection. A published value is met
    (`inside`) within `tolerance` (points) and the sampling error of n images. One row for each
    published entry of the same data, norm, eps and kind; one that says so where there is none.
    """
    found = []
    for names, own in _models(rows).items():
        setup = next((s for s in setups if tuple(s[n] for n in MODEL) == names), None)
        for threat, row in own.items():
            about = dict(zip(MODEL, names, strict=True)) | {"norm": threat[0], "eps": row["eps"]}
            near = [p for p in published if setup and _is_meant(p, setup, threat)]
            found += [about | _held(row, setup, entry, tolerance) for entry in near]
            if not near:
                found.append(about | {"status": NONE, "why": _nothing(setup, threat)})
    return found


def _models(rows: Sequence[dict]) -> dict[tuple, dict[tuple[str, float], dict]]:
    """Give each model's row with the lowest robust accuracy at each white-box norm and eps."""
    models: dict[tuple, dict] = {}
    for row in rows:
        if row["access"] != WHITE_BOX or row["norm"] == "noise" or row["robust_mean"] == "":
            continue
        own = models.setdefault(tuple(row[name] for name in MODEL), {})
        threat = (row["norm"], float(row["eps"]))
        if threat not in own or float(row["robust_mean"]) < float(own[threat]["robust_mean"]):
            own[threat] = row
    return models


def _is_meant(entry: dict, setup: dict, threat: tuple[str, float]) -> bool:
    """Tell whether an entry is about the same data, threat model and kind of training."""
    if entry["data"] != setup["data"] or entry["norm"] != threat[0]:
        return False
    if not math.isclose(entry["eps"], threat[1], rel_tol=1e-3):
        return False
    if entry.get("weights"):
        return setup["given"] and entry["model"] == setup["model"]
    same_steps = bool(entry.get("single_step")) == bool(setup["single_step"])
    return not setup["given"] and entry["kind"] == setup["kind"] and same_steps


def _held(row: dict, setup: dict, entry: dict, tolerance: float) -> dict:
    told = {"published": entry["name"], "source": entry["source"]}
    told |= {name: entry.get(name) for name in (*MEASURES, "by")}
    told |= {f"found_{name}": _percent(row.get(f"{name}_mean", "")) for name in MEASURES}
    if differences := list(_differences(row, setup, entry)):
        return told | {"status": OTHER, "why": "; ".join(differences)}
    problems = [text for name in MEASURES if (text := _problem(told, name, row, tolerance))]
    return told | {"status": OUTSIDE if problems else INSIDE, "why": "; ".join(problems)}


def _differences(row: dict, setup: dict, entry: dict) -> Iterator[str]:
    """Say in what a row of ours differs from a published one, the number of images first."""
    own = setup | {"n": int(row["n"])}
    compared = ALWAYS if entry.get("weights") else (*ALWAYS, *SETUP)
    for name in compared:
        if entry.get(name) is not None and own.get(name) != entry[name]:
            yield f"{name} {own.get(name)}, not {entry[name]}"


def _problem(told: dict, name: str, row: dict, tolerance: float) -> str:
    """Say that an accuracy misses the published one; empty if it does not, or one is unknown."""
    own, theirs = told[f"found_{name}"], told[name]
    if own is None or theirs is None:
        return ""
    share = theirs / 100
    reach = tolerance + 100 * Z95 * math.sqrt(share * (1 - share) / int(row["n"]))
    return "" if abs(own - theirs) <= reach else f"{name} {own:.1f}, not {theirs} ± {reach:.1f}"


def _percent(value: str) -> float | None:
    return None if value == "" else 100 * float(value)


def _nothing(setup: dict | None, threat: tuple[str, float]) -> str:
    kind = setup["kind"] if setup else "this model"
    data = setup["data"] if setup else "these data"
    return f"no value of {kind} on {data} at {threat[0]} {threat[1]:.4g} is listed"
