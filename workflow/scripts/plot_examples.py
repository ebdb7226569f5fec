"""Plot clean images, perturbations and adversarial examples."""

from gauntlet.runtime.job import run


def plot_examples(
    ledgers: list[str],
    examples: list[str],
    images: list[str],
    data: list[str],
    png: str,
    svg: str,
    *,
    spec: dict,
) -> None:
    """Draw the same test images for each model; `examples` lie beside `ledgers`, in their order.

    `images` and `data` are images.npy and data.json of spec["datasets"], in that order. Of a
    defense, the first ledger is shown.
    """
    from pathlib import Path

    import numpy as np

    from gauntlet.core.records import read_json, read_rows, run_of
    from gauntlet.reporting.figures import style
    from gauntlet.reporting.figures.examples import Shown, Source, draw

    sources = {}
    for name, array, text in zip(spec["datasets"], images, data, strict=True):
        about = read_json(text)
        sources[name] = Source(np.load(array, mmap_mode="r"), about["max_value"], about["classes"])
    shown = []
    for ledger, saved in zip(ledgers, examples, strict=True):
        attack = Path(ledger).parts[-3]
        made = np.load(saved, mmap_mode="r")
        shown.append(Shown(*run_of(ledger), attack, read_rows(ledger), made))
    figures = spec["figures"]
    style.render(lambda: draw(shown, sources, figures["examples"]), png, svg, figures)


if __name__ == "__main__":
    run(plot_examples, snakemake)
