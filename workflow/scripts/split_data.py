"""Divide a data set into training, validation and test part."""

from gauntlet.runtime.job import run_here


def split_data(
    images: str, labels: str, meta: str, split: str, report: str, *, spec: dict, indices=()
) -> None:
    """Write the parts' index lists, and a report of counts, balance and duplicates.

    `indices` is the file of numbers that the spec names, if it names one: an input, so that a
    change of it is seen.
    """
    import json
    import logging
    from pathlib import Path

    from gauntlet.core.records import read_json, write_json
    from gauntlet.data import read_array
    from gauntlet.data._split import read_indices, split_indices, split_report

    about = read_json(meta)
    classes, truth = about["classes"], read_array(labels)
    chosen = spec.get("test_indices")
    ready = spec | ({"test_indices": read_indices(chosen)} if chosen else {})
    parts = split_indices(truth, classes, about["canonical"], **ready)
    foreign = bool(about["canonical"]) and spec.get("test") is not None
    found = split_report(read_array(images), truth, classes, parts, foreign)
    for warning in found["warnings"]:
        logging.getLogger("gauntlet.split_data").warning(warning)
    lists = {part: chosen.tolist() for part, chosen in parts.items()}
    Path(split).write_text(json.dumps(lists) + "\n", encoding="utf-8")
    write_json(report, found, sort=False)


if __name__ == "__main__":
    run_here(split_data, snakemake)
