"""Keep a finished study's small results: `python -m gauntlet.stages.keep_reference STUDY ...`."""

import argparse
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import PROVENANCE, write_whole
from gauntlet.core.records import read_json, write_json
from gauntlet.stages.study_origin import origin

TABLES = ("summary.csv", "summary.md", "comparisons.csv", "certificates.csv", "preprocess.csv")
TABLES += ("preprocess.md", "reference.md")
FIGURES = ("robustness", "tradeoff", "compute", "bounds", "curves", "steps")
TRAINING = "train.provenance.json"


def keep(study: Path, target: Path, figures: tuple[str, ...] = FIGURES) -> list[Path]:
    """Copy a study's tables and figures (PNG) that are there, and write what made them.

    `study` is its folder below results/studies, `target` the folder of what is kept; gives the
    files. Raises GauntletError for a study that is not complete.
    """
    complete = study / f"complete{PROVENANCE}"
    if not complete.is_file():
        raise GauntletError(f"{complete} does not exist; only a finished study can be kept.")
    names = [*TABLES, *(f"figures/{name}.png" for name in figures)]
    there = [study / name for name in names if (study / name).is_file()]
    found = origin(_provenances(study, study.parent.parent.parent))
    for path in there:
        write_whole(target / path.name, partial(shutil.copyfile, path))
    write_whole(target / "origin.json", lambda fresh: write_json(fresh, found))
    return [*(target / path.name for path in there), target / "origin.json"]


def _provenances(study: Path, root: Path) -> Iterator[Path]:
    """Give the provenances of what the study has trained and attacked; `root` holds results/."""
    for path in read_json(study / f"summary{PROVENANCE}")["inputs"]:
        if path.endswith(TRAINING):
            yield root / path
    for path in read_json(study / f"complete{PROVENANCE}")["inputs"]:
        if Path(path).name in ("ledger.csv", "audit.json"):
            yield _maker(root, path)


def _maker(root: Path, path: str) -> Path:
    """Find the provenance, beside a result, that says it was written with it."""
    for record in sorted((root / path).parent.glob(f"*{PROVENANCE}")):
        if path in read_json(record)["outputs"]:
            return record
    raise GauntletError(f"{path} has no provenance beside it; run the study again.")


def main(arguments: list[str]) -> int:
    """Keep the named studies; 1 if one of them is not finished."""
    parser = argparse.ArgumentParser(description="Keep finished studies' small results.")
    parser.add_argument("studies", nargs="+", type=Path, help="folders below results/studies")
    parser.add_argument("--out", type=Path, default=Path("results/reference"))
    parser.add_argument("--figures", nargs="*", default=list(FIGURES), choices=FIGURES)
    asked = parser.parse_args(arguments)
    try:
        for study in asked.studies:
            made = keep(study, asked.out / study.name, tuple(asked.figures))
            sys.stdout.write(f"{study.name}: {len(made)} files in {asked.out / study.name}\n")
    except GauntletError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
