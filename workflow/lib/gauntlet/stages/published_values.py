"""Published numbers from their file: checked, with lengths as numbers."""

from pathlib import Path
from typing import Any

import yaml

from gauntlet.core.errors import GauntletError
from gauntlet.study.attack_points import length
from gauntlet.study.schema import load_schema
from gauntlet.study.schema_sentences import complaints
from gauntlet.study.strict_yaml import require_unique_keys


def read_published(path: str | Path, schema: str | Path) -> dict[str, Any]:
    """Read {tolerance, published: [entries]}; GauntletError says what does not fit the schema."""
    require_unique_keys([path])
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise GauntletError(f"{path} is no YAML file ({str(error).splitlines()[0]}).") from error
    closed = load_schema(str(schema))
    if problems := complaints(found, closed, closed):
        raise GauntletError("\n".join(f"{path}: {problem}" for problem in problems))
    return found | {"published": [e | {"eps": length(e["eps"])} for e in found["published"]]}
