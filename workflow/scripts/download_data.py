"""Get a data set from its source and store it as arrays."""

from pathlib import Path

from gauntlet.runtime.job import run_here


def download_data(images: str, labels: str, meta: str, *, spec: dict, files=()) -> None:
    """Write images.npy, labels.npy and data.json of the source that the spec names.

    `files` is the file that the spec names, if it is on this machine, or the manifest of the
    folder: an input, so that a change of it is seen. Downloads are kept beside the data sets, in
    `.downloads/<source>`, for all that share a source.
    """
    from gauntlet.core.download.mirrors import mirrors_from_environment
    from gauntlet.data import load_dataset
    from gauntlet.data._dataset import write_dataset
    from gauntlet.data._image_files import require_unchanged

    source = spec["source"]
    settings = {key: value for key, value in spec.items() if key != "source"}
    cache = Path(images).parent.parent / ".downloads" / source
    dataset = load_dataset(source, settings, mirrors=mirrors_from_environment(), cache=cache)
    require_unchanged(settings.get("path"), files)
    write_dataset(dataset, source, images, labels, meta)


if __name__ == "__main__":
    run_here(download_data, snakemake)
