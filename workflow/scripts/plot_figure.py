"""Plot one of a study's figures, as PNG and SVG."""

from gauntlet.runtime.job import run


def plot_figure(png: str, svg: str, *, spec: dict, **files) -> None:
    """Draw the figure that spec["figure"] names: a function in a file of its own.

    `files` are the rule's inputs, by the names of that function's arguments.
    """
    from importlib import import_module

    from gauntlet.reporting.figures import style

    name = spec["figure"]
    draw = getattr(import_module(f"gauntlet.reporting.figures.{name}"), name)
    style.render(lambda: draw(**files, spec=spec), png, svg, spec["figures"])


if __name__ == "__main__":
    run(plot_figure, snakemake)
