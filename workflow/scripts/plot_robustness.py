"""Plot robust accuracy by defense and attack."""

from gauntlet.job import run


def plot_robustness(robustness: str, png: str, svg: str, *, spec: dict) -> None:
    """Draw grouped bars of the study's short table."""
    from gauntlet.figures import style
    from gauntlet.figures.robustness import draw
    from gauntlet.metrics import read_rows

    rows = read_rows(robustness)
    style.render(lambda: draw(rows), png, svg, spec["figures"])


if __name__ == "__main__":
    run(plot_robustness, snakemake)
