"""Plot how far certified and robust accuracy lie apart."""

from gauntlet.runtime.job import run


def plot_bounds(robustness: str, png: str, svg: str, *, spec: dict) -> None:
    """Draw an interval per model wherever a certificate and an attack meet."""
    from gauntlet.core.records import read_rows
    from gauntlet.reporting.figures import style
    from gauntlet.reporting.figures.bounds import draw

    rows = read_rows(robustness)
    style.render(lambda: draw(rows), png, svg, spec["figures"])


if __name__ == "__main__":
    run(plot_bounds, snakemake)
