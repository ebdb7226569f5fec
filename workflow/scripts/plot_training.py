"""Plot validation accuracy by epoch."""

from gauntlet.runtime.job import run


def plot_training(
    histories: list[str], trains: list[str], splits: list[str], png: str, svg: str, *, spec: dict
) -> None:
    """Draw a panel per defense; `trains` are the train.json beside `histories`, in their order.

    `splits` are the split.json of spec["datasets"], in that order.
    """
    from gauntlet.core.records import read_json, read_rows, run_of
    from gauntlet.reporting.figures import style
    from gauntlet.reporting.figures.training import Training, draw

    parts = {n: read_json(path) for n, path in zip(spec["datasets"], splits, strict=True)}
    trainings = []
    for history, train in zip(histories, trains, strict=True):
        run, rows = run_of(history), read_rows(history)
        count = len(parts[run.dataset]["validation"])
        trainings.append(Training(*run, rows, read_json(train), count))
    style.render(lambda: draw(trainings), png, svg, spec["figures"])


if __name__ == "__main__":
    run(plot_training, snakemake)
