"""Certified accuracy against the radius, a staircase per defense; attacks beside it."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from gauntlet.core.records import RUN_NAMES
from gauntlet.evaluation.attack_ledger import WHITE_BOX
from gauntlet.evaluation.certificate_ledger import BASE, SMOOTHED
from gauntlet.reporting.figures import style
from gauntlet.reporting.figures.values import read_records, split

NOTHING = (
    "This study has no certificates. Define one under certificates, such as smoothing or crown, "
    "and name it in the study's certificates to see certified accuracy against the radius."
)


def radii(records: list[str], *, spec: dict) -> Figure:
    """Draw a staircase per model for every certificate; `records` are the evaluations' JSON."""
    found = read_records(records)
    return draw(found)


def draw(records: Sequence[dict]) -> Figure:
    """Draw a panel per certificate; `records` are the evaluations' JSON, one per model and seed."""
    shown = [
        {name: record[name] for name in RUN_NAMES}
        | {"proof": proof, "record": record, "certificate": proof["certificate"]}
        for record in records
        for proof in record.get("certificates", ())
        if not proof["note"]
    ]
    if not shown:
        return style.empty(NOTHING)
    looks = style.looks(split(shown, "defense"))
    panels = split(shown, "dataset", "model", "certificate")
    figure, axes = style.grid(len(panels), 2, (6.2, 4.0), extra=1.3)
    for names, place in zip(panels, axes, strict=True):
        for defense, mine in split(panels[names], "defense").items():
            for i, one in enumerate(mine):
                _certified(place, one["proof"], looks[defense], defense if i == 0 else None)
                _attacks(place, one, looks[defense])
        _finish(place, names, panels[names][0]["proof"])
    known = {}
    for place in axes:
        handles, labels = place.get_legend_handles_labels()
        known |= dict(zip(labels, handles, strict=True))
    style.legend(figure, list(known.values()), list(known))
    style.note(figure, _note(shown))
    return figure


def _note(shown: Sequence[dict]) -> str:
    counts = " or ".join(dict.fromkeys(str(one["proof"]["n"]) for one in shown))
    seeds = ", ".join(dict.fromkeys(str(one["seed"]) for one in shown))
    word = "seeds" if "," in seeds else "seed"
    text = (
        f"n = {counts} test images, {word} {seeds}. Thick stairs: share right and proven within "
        "the radius, a line a seed: a lower bound."
    )
    if any(one["proof"]["classifier"] == BASE for one in shown):
        text += (
            " Thin lines: distances at which minimal-distance attacks broke images; hollow marks: "
            "lowest accuracy under attack at an eps: upper bounds."
        )
    sure = sorted({p["confidence"] for p in _proofs(shown) if p["classifier"] == SMOOTHED})
    if sure:
        each = " or ".join(f"{100 * one:g}" for one in sure)
        text += f" Of a smoothed classifier each image's radius holds with {each} % confidence."
    return text


def _proofs(shown: Sequence[dict]) -> list[dict]:
    return [one["proof"] for one in shown]


def _certified(axes, proof: dict, look: dict, label: str | None) -> None:
    steps, n = [0.0, *proof["radii"]], proof["n"]
    left = [(len(steps) - 1 - gone) / n for gone in range(len(steps))]
    every = max(1, len(steps) // 8)
    axes.step(
        steps,
        left,
        where="post",
        label=label,
        linewidth=2.0,
        markevery=every,
        markersize=5,
        **look,
    )


def _attacks(axes, one: dict, look: dict) -> None:
    """Draw upper bounds of the same model in the same norm."""
    norm, record = one["proof"]["norm"], one["record"]
    if one["proof"]["classifier"] != BASE:
        return
    thin = {"color": look["color"], "linewidth": 0.8, "linestyle": look["linestyle"]}
    for cost in (cost for cost in record["costs"] if cost["minimal"] and cost["norm"] == norm):
        spans = [0.0, *cost["distances"]]
        left = [(cost["clean"] - success) / cost["n"] for success in range(len(spans))]
        axes.step(spans, left, where="post", **thin)
    hollow = {
        "facecolor": "none",
        "edgecolor": look["color"],
        "marker": look["marker"],
        "s": 60,
    }
    for eps, accuracy in _lowest(record["rows"], norm).items():
        axes.scatter(eps, accuracy, zorder=4, **hollow)


def _lowest(rows: Sequence[dict], norm: str) -> dict[float, float]:
    """Give the lowest robust accuracy at each eps of a norm."""
    found: dict[float, float] = {}
    for row in rows:
        if (
            row["norm"] == norm
            and row["access"] == WHITE_BOX
            and row["robust_accuracy"] is not None
        ):
            accuracy = row["robust_accuracy"]
            found[row["eps"]] = min(accuracy, found.get(row["eps"], accuracy))
    return found


def _finish(axes, names: tuple, proof: dict) -> None:
    whose = "smoothed classifier" if proof["classifier"] == SMOOTHED else "the model itself"
    unit = "in the images' range [0, 1]" if proof["norm"] == "linf" else "of images in [0, 1]"
    axes.set_title(f"{' · '.join(names)} ({whose})")
    axes.set_xlabel(f"{proof['norm']} radius, {unit}")
    axes.set_ylim(-0.02, 1.03)
    axes.set_xlim(left=0)
    style.percent_axis(axes.yaxis, "certified test accuracy (%)")
