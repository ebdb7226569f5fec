"""Plot clean against robust accuracy."""

from gauntlet.runtime.job import run


def plot_tradeoff(robustness: str, png: str, svg: str, *, spec: dict) -> None:
    """Draw a mark per defense at the study's main norm and eps."""
    from gauntlet.core.records import read_rows
    from gauntlet.reporting.figures import style
    from gauntlet.reporting.figures.tradeoff import draw

    rows = read_rows(robustness)
    style.render(lambda: draw(rows), png, svg, spec["figures"])


if __name__ == "__main__":
    run(plot_tradeoff, snakemake)
