"""Plot what examples made against one model do to the others."""

from gauntlet.runtime.job import run


def plot_transfer(robustness: str, png: str, svg: str, *, spec: dict) -> None:
    """Draw a matrix of source and target for every attack that is transferred."""
    from gauntlet.core.records import read_rows
    from gauntlet.reporting.figures import style
    from gauntlet.reporting.figures.transfer import draw

    rows = read_rows(robustness)
    style.render(lambda: draw(rows, spec["defenses"]), png, svg, spec["figures"])


if __name__ == "__main__":
    run(plot_transfer, snakemake)
