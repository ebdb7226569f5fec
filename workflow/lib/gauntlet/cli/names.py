"""Names of studies, made from those of files and folders; and radii as options give them."""

import hashlib
import re
from pathlib import Path

from gauntlet.cli.configuration import BASE
from gauntlet.cli.errors import UsageMistake

LONGEST = 64  # characters, as the schema allows
FREE = LONGEST - len("model_")
LETTERS = 8  # of a checksum
LENGTH = re.compile(r"(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?(/\d+(\.\d+)?)?")


def study_name(text: str) -> str:
    """Make a study's name: small letters, digits and _.

    What YAML would not read as a text, and the study of the base configuration, over which a new
    one would be laid, get a prefix.
    """
    word = re.sub(r"[^a-z0-9]+", "_", text.lower())[:FREE].strip("_")
    plain = re.match("[a-z]", word) and word != BASE and _is_text(word)
    return word if plain else f"model_{word}".rstrip("_")


def name_for(model: Path) -> str:
    """Name the study of a model's file after it.

    Where the study of another file of that name is here, the folder's name stands before it, and
    where that is taken too, a part of a checksum of the path stands behind it.
    """
    folder, digest = model.resolve().parent.name, hashlib.sha256(bytes(model.resolve())).hexdigest()
    stem = model.stem[: FREE - LETTERS - 1]
    wanted = (model.stem, f"{folder}_{model.stem}", f"{stem}_{digest[:LETTERS]}")
    names = [study_name(text) for text in wanted]
    return next((name for name in names if not _of_another(name, model)), names[-1])


def configuration_of(name: str) -> Path:
    """Give the file that holds the configuration of a model's study."""
    return Path(f"gauntlet-{name}.yaml")


def _of_another(name: str, model: Path) -> bool:
    """Tell whether the study of that name, as it is written here, is one of another file."""
    import yaml

    try:
        found = yaml.safe_load(configuration_of(name).read_text(encoding="utf-8"))
        weights = found["models"][name]["weights"]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return False
    return Path(str(weights)).resolve() != model.resolve()


def _is_text(word: str) -> bool:
    import yaml

    return yaml.safe_load(word) == word


def length(option: str) -> float | str:
    """Read a radius: a number, or a fraction that stays a text; UsageMistake for anything else."""
    if not LENGTH.fullmatch(option):
        raise UsageMistake(f"--eps is '{option}'; allowed is a number or a fraction such as 8/255.")
    return option if "/" in option else float(option)
