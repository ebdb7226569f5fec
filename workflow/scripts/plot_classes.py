"""Plot robust accuracy by class."""

from gauntlet.runtime.job import run


def plot_classes(
    robustness: str, records: list[str], data: list[str], png: str, svg: str, *, spec: dict
) -> None:
    """Draw the study's main norm and eps; `records` are the evaluations' JSON.

    `data` are the data.json of spec["datasets"], in that order.
    """
    from gauntlet.core.records import read_rows
    from gauntlet.reporting.figures import style
    from gauntlet.reporting.figures.classes import draw
    from gauntlet.reporting.figures.values import main_threat, read_records

    found, described = read_records(records), read_records(data)
    names = {n: d["classes"] for n, d in zip(spec["datasets"], described, strict=True)}
    threat = main_threat(read_rows(robustness))
    style.render(lambda: draw(found, names, threat), png, svg, spec["figures"])


if __name__ == "__main__":
    run(plot_classes, snakemake)
