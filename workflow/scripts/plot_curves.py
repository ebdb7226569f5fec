"""Plot robust accuracy against eps."""

from gauntlet.job import run


def plot_curves(robustness: str, png: str, svg: str, *, spec: dict) -> None:
    """Draw a line per defense for every attack with several eps."""
    from gauntlet.figures import style
    from gauntlet.figures.curves import draw
    from gauntlet.metrics import read_rows

    rows = read_rows(robustness)
    style.render(lambda: draw(rows), png, svg, spec["figures"])


if __name__ == "__main__":
    run(plot_curves, snakemake)
