"""The table of `make benchmark-strength`: robust accuracy and seconds, side by side."""

from collections import Counter
from statistics import mean
from string import ascii_lowercase

from tabulate import tabulate

STAYS = "."  # of an image that stays robust
OFFICIAL, OURS = "official", ("autoattack", "gauntlet")
COLUMNS = ("network", "n", "clean", "official", *OURS, "seconds", "of autoattack", "of gauntlet")
NOTE = """Robust accuracy in % after each ensemble on the same images, in float32 and one thread; \
ours as the lowest to the highest of {seeds} streams of random numbers. `seconds`: of the \
processor, for the official ensemble; the last two columns: how many times faster ours were. \
{machine}."""


def coded(found: list[str]) -> dict:
    """Write what found each image's example, '' for none, as one letter an image, with a key."""
    names = sorted(set(found) - {""})
    key = dict(zip(names, ascii_lowercase, strict=False))
    return {"found": "".join(key.get(name, STAYS) for name in found), "key": key}


def decoded(row: dict) -> list[str]:
    """Read what `coded` wrote."""
    names = {letter: name for name, letter in row["key"].items()}
    return [names.get(letter, "") for letter in row["found"]]


def page(record: dict) -> str:
    """Write a record of runs as Markdown."""
    groups: dict[str, list[dict]] = {}
    for row in record["rows"]:
        groups.setdefault(row["network"], []).append(row)
    whole = {n: rows for n, rows in groups.items() if {r["system"] for r in rows} > {OFFICIAL}}
    lines = [_line(name, rows) for name, rows in whole.items()]
    machine = ", ".join(f"{key} {value}" for key, value in sorted(record["machine"].items()))
    seeds = max((len(_of(rows, OURS[1])) for rows in whole.values()), default=0)
    table = tabulate(lines, COLUMNS, "pipe", disable_numparse=True)
    parts = ["# Strength beside the official AutoAttack", table, _summary(whole), _found(whole)]
    return "\n\n".join([*parts, NOTE.format(seeds=seeds, machine=machine)]) + "\n"


def _of(rows: list[dict], system: str) -> list[dict]:
    return [row for row in rows if row["system"] == system]


def _line(name: str, rows: list[dict]) -> list[str]:
    official = _of(rows, OFFICIAL)[0]
    ratios = [_ratio(official, _of(rows, system)) for system in OURS]
    return [
        *(name, str(official["n"]), f"{100 * official['clean']:.1f}"),
        *(_range(_of(rows, system)) for system in (OFFICIAL, *OURS)),
        *(f"{official['cpu']:.0f}", *("" if not one else f"{one:.1f}x" for one in ratios)),
    ]


def _range(rows: list[dict]) -> str:
    values = sorted(100 * row["robust"] for row in rows)
    if not values:
        return ""
    low, high = f"{values[0]:.2f}", f"{values[-1]:.2f}"
    return low if low == high else f"{low} to {high}"


def _ratio(official: dict, rows: list[dict]) -> float | None:
    return official["cpu"] / mean(row["cpu"] for row in rows) if rows else None


def _summary(groups: dict[str, list[dict]]) -> str:
    """Say by how much ours differ from the official ensemble, in points."""
    said = []
    for system in OURS:
        gaps = [
            100 * (row["robust"] - _of(rows, OFFICIAL)[0]["robust"])
            for rows in groups.values()
            for row in _of(rows, system)
        ]
        if gaps:
            said.append(
                f"`{system}` minus official, in points, over {len(gaps)} runs: {mean(gaps):+.2f} "
                f"on average, {min(gaps):+.2f} to {max(gaps):+.2f}."
            )
    return " ".join(said)


def _found(groups: dict[str, list[dict]]) -> str:
    """Say which attack found what the other ensemble did not."""
    lines = []
    for name, rows in groups.items():
        theirs = decoded(_of(rows, OFFICIAL)[0])
        for row in (row for system in OURS for row in _of(rows, system)):
            pairs = list(zip(decoded(row), theirs, strict=True))
            only = Counter(own for own, other in pairs if own and not other)
            missed = Counter(other for own, other in pairs if other and not own)
            if only or missed:
                who = [name, row["system"], str(row["seed"])]
                lines.append([*who, _counts(only), _counts(missed)])
    columns = ("network", "system", "seed", "only ours found, by", "only theirs found, by")
    return tabulate(lines, columns, "pipe", disable_numparse=True)


def _counts(found: Counter) -> str:
    return ", ".join(f"{name} {count}" for name, count in found.most_common())
