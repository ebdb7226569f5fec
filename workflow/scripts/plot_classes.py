"""Plot robust accuracy by class."""

from gauntlet.job import run


def plot_classes(
    robustness: str, records: list[str], data: list[str], png: str, svg: str, *, spec: dict
) -> None:
    """Draw the study's main norm and eps; `records` are the evaluations' JSON.

    `data` are the data.json of spec["datasets"], in that order.
    """
    import json
    from pathlib import Path

    from gauntlet.figures import style
    from gauntlet.figures.classes import draw
    from gauntlet.figures.values import main_threat
    from gauntlet.metrics import read_rows

    read = [json.loads(Path(path).read_text(encoding="utf-8")) for path in (*records, *data)]
    found, described = read[: len(records)], read[len(records) :]
    names = {n: d["classes"] for n, d in zip(spec["datasets"], described, strict=True)}
    threat = main_threat(read_rows(robustness))
    style.render(lambda: draw(found, names, threat), png, svg, spec["figures"])


if __name__ == "__main__":
    run(plot_classes, snakemake)
