"""Plot which rule feeds which."""

from gauntlet.runtime.job import run


def plot_rulegraph(png: str, svg: str, *, spec: dict) -> None:
    """Draw spec["edges"], a list of [source rule, target rule]."""
    from gauntlet.reporting.figures import style
    from gauntlet.reporting.figures.rulegraph import draw

    style.render(lambda: draw(spec["edges"]), png, svg, spec["figures"])


if __name__ == "__main__":
    run(plot_rulegraph, snakemake)
