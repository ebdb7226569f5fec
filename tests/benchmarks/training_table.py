"""The page of `make benchmark-training`."""

from tabulate import tabulate

from tests.benchmarks.training_systems import AS_OURS, SAME

OURS = "gauntlet"


def page(record: dict) -> str:
    """Write a record of the benchmark as Markdown."""
    makers = {"speed": _speed, "accuracy": _accuracy, "defenses": _defenses}
    parts = ["# Training beside other libraries"]
    parts += [make(record[name]) for name, make in makers.items() if record.get(name)]
    machine = ", ".join(f"{key} {value}" for key, value in sorted(record["machine"].items()))
    return "\n\n".join([*parts, f"article_cnn on MNIST; {machine}."]) + "\n"


def speed_ratio(rows: list[dict], row: dict) -> float | None:
    """Divide the seconds of the fastest other system of the same algorithm by a row's."""
    group = SAME["torchattacks, PGD" if "PGD" in row["system"] else "fast_adversarial"]
    others = [one["epoch"] for one in rows if one["system"] in group]
    is_ours = row["system"].startswith(OURS)
    return round(min(others) / row["epoch"], 2) if others and is_ours else None


def accuracy_ratio(rows: list[dict], row: dict) -> float | None:
    """Divide the seconds of the fastest other system that reached the goal by a row's."""
    names = (OURS, AS_OURS)
    others = [one["reached"] for one in rows if not one["system"].startswith(names)]
    reached = [seconds for seconds in others if seconds]
    is_ours = row["system"].startswith(OURS) and row["reached"]
    return round(min(reached) / row["reached"], 2) if reached and is_ours else None


def _speed(rows: list[dict]) -> str:
    columns = ("system", "seconds of an epoch", "forwards", "backwards", "times as fast")
    lines = [
        [
            *(row[key] for key in ("system", "epoch", "forwards", "backwards")),
            speed_ratio(rows, row),
        ]
        for row in rows
    ]
    note = (
        "Processor seconds of one thread; passes of one image; the last column against the faster "
        "of the other systems of the same algorithm (PGD, or one step)."
    )
    return f"{_table(lines, columns)}\n\n{note}"


def _accuracy(rows: list[dict]) -> str:
    columns = (
        "system",
        "epochs",
        "seconds",
        "clean %",
        "robust %",
        "reached after",
        "times as fast",
    )
    lines = []
    for row in rows:
        last = row["curve"][-1]
        shown = [
            f"{last['seconds']:.1f}",
            *(f"{100 * last[key]:.1f}" for key in ("clean", "robust")),
        ]
        after = f"{row['reached']:.1f}" if row["reached"] else "not reached"
        of = f"{len(row['curve'])} of {row['epochs']}"
        lines.append([row["system"], of, *shown, after, accuracy_ratio(rows, row)])
    note = (
        f"Training on {rows[0]['images']:,} images until {100 * rows[0]['goal']:.0f} % of the "
        "validation images withstand PGD-10 in float32, looked at after each epoch; the last "
        "column against the fastest other system with its own settings. One row is the plain loop "
        "of fast_adversarial with the batch and the cycle of our recipe."
    )
    return f"{_table(lines, columns)}\n\n{note}"


def _defenses(rows: list[dict]) -> str:
    columns = ("defense", "attack inside", "seconds of a batch", "batches of plain training")
    lines = [[row[key] for key in ("defense", "attack", "seconds", "cost")] for row in rows]
    return f"{_table(lines, columns)}\n\nfloat32, batch 128; pgd: 7 steps, fgsm: 1 step."


def _table(lines: list[list], columns: tuple[str, ...]) -> str:
    cells = [["" if cell is None else str(cell) for cell in line] for line in lines]
    return tabulate(cells, columns, "pipe", disable_numparse=True)
