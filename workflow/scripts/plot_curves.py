"""Plot robust accuracy against eps."""

from gauntlet.runtime.job import run


def plot_curves(robustness: str, records: list[str], png: str, svg: str, *, spec: dict) -> None:
    """Draw a line per defense for every attack with several eps."""
    from gauntlet.core.records import read_rows
    from gauntlet.reporting.figures import style
    from gauntlet.reporting.figures.curves import draw
    from gauntlet.reporting.figures.values import read_records

    rows, found = read_rows(robustness), read_records(records)
    style.render(lambda: draw(rows, found), png, svg, spec["figures"])


if __name__ == "__main__":
    run(plot_curves, snakemake)
