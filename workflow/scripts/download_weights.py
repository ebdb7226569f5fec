"""Fetch the file of a model from outside, or the pretrained weights of one of ours."""

from gauntlet.runtime.job import run_here


def download_weights(file: str, *, spec: dict) -> None:
    """Write the file that the spec's URL leads to, if it has the spec's sha256.

    Of `pretrained` weights torchvision knows place and hash. Mirrors are asked first, for a file of
    that name. Downloads are kept beside all weights, in `.downloads/<sha256>` (of pretrained ones
    `.downloads/<network>-<weights>`), so that an interrupted one goes on.
    """
    import shutil
    from pathlib import Path

    from gauntlet.core.download.mirrors import mirrors_from_environment
    from gauntlet.models.external.downloads import fetch_weights

    kept, mirrors = Path(file).parent.parent / ".downloads", mirrors_from_environment()
    if "pretrained" in spec:
        from gauntlet.models.external.pretrained import fetch_pretrained

        chosen = spec["name"], spec["pretrained"]
        found = fetch_pretrained(*chosen, mirrors, kept / "-".join(chosen))
    else:
        found = fetch_weights(spec["url"], spec["sha256"], mirrors, kept / spec["sha256"])
    shutil.copyfile(found, file)


if __name__ == "__main__":
    run_here(download_weights, snakemake)
