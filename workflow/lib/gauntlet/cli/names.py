"""Names of studies, made from those of files and folders; and radii as options give them."""

import re

from gauntlet.cli.configuration import BASE
from gauntlet.cli.errors import UsageMistake

LONGEST = 64  # characters, as the schema allows
FREE = LONGEST - len("model_")
LENGTH = re.compile(r"(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?(/\d+(\.\d+)?)?")


def study_name(text: str) -> str:
    """Make a study's name: small letters, digits and _.

    What YAML would not read as a text, and the study of the base configuration, over which a new
    one would be laid, get a prefix.
    """
    word = re.sub(r"[^a-z0-9]+", "_", text.lower())[:FREE].strip("_")
    plain = re.match("[a-z]", word) and word != BASE and _is_text(word)
    return word if plain else f"model_{word}".rstrip("_")


def _is_text(word: str) -> bool:
    import yaml

    return yaml.safe_load(word) == word


def length(option: str) -> float | str:
    """Read a radius: a number, or a fraction that stays a text; UsageMistake for anything else."""
    if not LENGTH.fullmatch(option):
        raise UsageMistake(f"--eps is '{option}'; allowed is a number or a fraction such as 8/255.")
    return option if "/" in option else float(option)
