"""What the gate found, in sentences and as a page."""

from collections.abc import Sequence

from gauntlet.core.records import RUN_NAMES
from gauntlet.evaluation.gate import Verdict
from gauntlet.evaluation.summary import MODEL
from gauntlet.reporting.cells import audit_text
from gauntlet.reporting.formatting import percent

HEAD = ("requirement", "model", "measure", "required", "measured", "at", "met")


def shortfalls(verdicts: Sequence[Verdict]) -> list[str]:
    """Say of each requirement that is not met what falls short, in one sentence."""
    return [_sentence(verdict) for verdict in verdicts if not verdict.met]


def _sentence(verdict: Verdict) -> str:
    model = "/".join(str(getattr(verdict, name)) for name in MODEL) + f" seed {verdict.seed}"
    what = verdict.measure if verdict.measure == "audit" else f"{verdict.measure} accuracy"
    place = f" ({_place(verdict)})" if verdict.where else ""
    return (
        f"requirements.{verdict.requirement}: {model} has {what} {_value(verdict.measured)}"
        f"{place}; required is {_value(verdict.required)}."
    )


def _place(verdict: Verdict) -> str:
    where = verdict.where
    return f"{where['attack']}, {where['norm']} {float(where['eps']):.4g}" if where else ""


def _value(value: float | str | dict | None) -> str:
    if value is None:
        return "not measured"
    if isinstance(value, dict):
        return audit_text(value)
    return value if isinstance(value, str) else f"{percent(value)} %"


def page(study: str, verdicts: Sequence[Verdict]) -> str:
    """Write the gate's verdicts in Markdown."""
    short = shortfalls(verdicts)
    result = f"closed, {len(short)} of {len(verdicts)} fall short" if short else "open"
    lines = [f"# Gate of {study}: {result}", "", *(f"- {text}" for text in short)]
    lines += [""] if short else []
    lines += [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    lines += [f"| {' | '.join(_cells(verdict))} |" for verdict in verdicts]
    return "\n".join(lines) + "\n"


def _cells(verdict: Verdict) -> tuple[str, ...]:
    return (
        verdict.requirement,
        "/".join(str(getattr(verdict, name)) for name in RUN_NAMES),
        verdict.measure,
        _value(verdict.required),
        _value(verdict.measured),
        _place(verdict),
        "yes" if verdict.met else "NO",
    )
