"""Fetch the file of a model from outside."""

from gauntlet.runtime.job import run_here


def download_weights(file: str, *, spec: dict) -> None:
    """Write the file that the spec's URL leads to, if it has the spec's sha256.

    Mirrors are asked first, for a file of that name. Downloads are kept beside all weights, in
    `.downloads/<sha256>`, so that an interrupted one goes on.
    """
    import shutil
    from pathlib import Path

    from gauntlet.core.download.mirrors import mirrors_from_environment
    from gauntlet.models.external.downloads import fetch_weights

    cache = Path(file).parent.parent / ".downloads" / spec["sha256"]
    found = fetch_weights(spec["url"], spec["sha256"], mirrors_from_environment(), cache)
    shutil.copyfile(found, file)


if __name__ == "__main__":
    run_here(download_weights, snakemake)
