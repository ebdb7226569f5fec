"""Plot robust accuracy against the passes that an attack had spent on each image."""

from gauntlet.runtime.job import run


def plot_passes(records: list[str], png: str, svg: str, *, spec: dict) -> None:
    """Draw a line per attack for every defense; `records` are the evaluations' JSON."""
    from gauntlet.reporting.figures import style
    from gauntlet.reporting.figures.passes import draw
    from gauntlet.reporting.figures.values import read_records

    found = read_records(records)
    style.render(lambda: draw(found), png, svg, spec["figures"])


if __name__ == "__main__":
    run(plot_passes, snakemake)
