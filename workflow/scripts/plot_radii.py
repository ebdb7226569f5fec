"""Plot certified accuracy against the radius."""

from gauntlet.runtime.job import run


def plot_radii(records: list[str], png: str, svg: str, *, spec: dict) -> None:
    """Draw a staircase per model for every certificate; `records` are the evaluations' JSON."""
    from gauntlet.reporting.figures import style
    from gauntlet.reporting.figures.radii import draw
    from gauntlet.reporting.figures.values import read_records

    found = read_records(records)
    style.render(lambda: draw(found), png, svg, spec["figures"])


if __name__ == "__main__":
    run(plot_radii, snakemake)
