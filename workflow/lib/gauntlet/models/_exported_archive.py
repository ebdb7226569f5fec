"""What a torch.export file may hold, so that loading it runs nothing but PyTorch's operators.

`torch.export.load` unpickles, imports and evaluates what a file asks for; so it is looked through
before.
"""

import io
import json
import pickle
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import torch

from gauntlet.core.errors import GauntletError
from gauntlet.models._frames import first_line

MODEL = "models/model.json"
SAMPLE = "data/sample_inputs/model.pt"
PLAIN = re.compile(
    r"models/model\.json|data/sample_inputs/model\.pt|data/(weights|constants)/[\w.]+"
    r"|archive_format|archive_version|byteorder|\.data/[\w]+|\.format_version"
)
OPERATOR = re.compile(
    r"torch\.ops\.aten\.\w+\.\w+|torch\.ops\.higher_order\.\w+|_operator\.(add|sub|mul|floordiv|"
    r"truediv|mod|pow|neg|eq|ne|lt|le|gt|ge|getitem|and_|or_|not_)|torch\.sym_\w+"
    r"|math\.(ceil|floor|trunc|sqrt)"
)
# Of symbolic sizes, which are evaluated: symbols and arithmetic, no other name.
EXPRESSION = re.compile(
    r"(?:\b(?:Symbol|Integer|Float|Rational|Add|Mul|Pow|Max|Min|Mod|PythonMod|FloorDiv|CeilDiv|"
    r"CleanDiv|IntTrueDiv|Eq|Ne|Lt|Le|Gt|Ge|And|Or|Not|True|False|positive|nonnegative|negative|"
    r"integer|real|[a-z]{1,3}\d+)\b|'[a-z]{1,3}\d+'|\b\d+(?:\.\d+)?\b|[\s+\-*/()<>=&|~,])*"
)


def require_plain(artefact: bytes) -> None:
    """Raise GauntletError unless an archive holds weights and PyTorch's own operators only."""
    try:
        with zipfile.ZipFile(io.BytesIO(artefact)) as archive:
            parts = {name.partition("/")[2]: name for name in archive.namelist()}
            _require_names(parts)
            for place in ("weights", "constants"):
                config = json.loads(archive.read(parts[f"data/{place}/model_{place}_config.json"]))
                _require_data(config)
            sample = archive.read(parts[SAMPLE])
            if sample:
                torch.load(io.BytesIO(sample), weights_only=True)
            for key, value in _walk(json.loads(archive.read(parts[MODEL]))):
                _require_known(key, value)
    except GauntletError:
        raise
    except pickle.UnpicklingError as error:
        raise _code(f"a pickle in {SAMPLE}") from error
    except Exception as error:  # a malicious archive may raise anything
        raise GauntletError(
            f"it is damaged or no torch.export file ({first_line(error)})."
        ) from error


def _require_names(parts: dict[str, str]) -> None:
    needed = (MODEL, SAMPLE, "data/weights/model_weights_config.json")
    missing = next((name for name in needed if name not in parts), None)
    if missing:
        raise GauntletError(
            f"it is no torch.export file (it has no {missing}); write it with torch.export.save "
            "of a current PyTorch."
        )
    strange = next((name for name in parts if not PLAIN.fullmatch(name)), None)
    if strange is not None:
        raise _code(f"the member {strange[:80]}")


def _require_data(config: dict[str, Any]) -> None:
    for name, entry in config["config"].items():
        if entry.get("use_pickle"):
            raise _code(f"the pickled tensor {name[:80]}")


def _require_known(key: str, value: Any) -> None:
    if key == "target" and isinstance(value, str) and not OPERATOR.fullmatch(value):
        raise _code(f"the operator {value[:80]}")
    if key == "expr_str" and not EXPRESSION.fullmatch(str(value)):
        raise _code(f"the size {str(value)[:80]}")


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield key, part
            yield from _walk(part)
    elif isinstance(value, list):
        for part in value:
            yield from _walk(part)


def _code(what: str) -> GauntletError:
    return GauntletError(
        f"it asks for code that is not PyTorch's own ({what}); allowed is a program of aten "
        "operators and plain tensors, as torch.export.save writes it."
    )
