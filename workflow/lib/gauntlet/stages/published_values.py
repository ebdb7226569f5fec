"""Published numbers from their file: checked, with lengths as numbers."""

from pathlib import Path
from typing import Any

import yaml

from gauntlet.core.errors import GauntletError
from gauntlet.study.attack_points import length
from gauntlet.study.strict_yaml import require_unique_keys

TEXTS = ("name", "source", "data", "norm")
SHARES = ("clean", "robust", "certified")  # in %
KNOWN = {
    *(*TEXTS, *SHARES, "by", "eps", "kind", "single_step", "model", "weights"),
    *("arch", "epochs", "images", "n", "selection"),
}


def read_published(path: str | Path) -> dict[str, Any]:
    """Read {tolerance, published: [entries]}; GauntletError names the entry that is wrong."""
    require_unique_keys([path])
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise GauntletError(f"{path} is no YAML file ({str(error).splitlines()[0]}).") from error
    if not isinstance(found, dict) or set(found) != {"tolerance", "published"}:
        raise GauntletError(f"{path} must hold the keys tolerance and published, and no other.")
    entries = [_entry(path, number, one) for number, one in enumerate(found["published"])]
    return {"tolerance": float(found["tolerance"]), "published": entries}


def _entry(path: str | Path, number: int, entry: Any) -> dict[str, Any]:
    where = f"{path}: published[{number}]"
    if not isinstance(entry, dict):
        raise GauntletError(f"{where} is {entry!r}; allowed is a mapping.")
    for name in (*TEXTS, "eps"):
        if name not in entry:
            raise GauntletError(f"{where} has no {name}.")
    if "kind" not in entry and not entry.get("weights"):
        raise GauntletError(f"{where} has neither kind (of training) nor weights: true.")
    if unknown := sorted(set(entry) - KNOWN):
        raise GauntletError(
            f"{where} has the unknown key {unknown[0]}; allowed are {sorted(KNOWN)}."
        )
    for name in SHARES:
        value = entry.get(name)
        if value is not None and not (isinstance(value, int | float) and 0 <= value <= 100):
            raise GauntletError(
                f"{where}.{name} is {value!r}; allowed is a number from 0 to 100 (%)."
            )
    return entry | {"eps": length(entry["eps"])}
