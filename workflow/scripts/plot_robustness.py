"""Plot robust accuracy by defense and attack."""

from gauntlet.runtime.job import run


def plot_robustness(robustness: str, png: str, svg: str, *, spec: dict) -> None:
    """Draw grouped bars of the study's short table."""
    from gauntlet.core.records import read_rows
    from gauntlet.reporting.figures import style
    from gauntlet.reporting.figures.robustness import draw

    rows = read_rows(robustness)
    style.render(lambda: draw(rows), png, svg, spec["figures"])


if __name__ == "__main__":
    run(plot_robustness, snakemake)
