"""Plug-ins by file name: `gauntlet/<family>/<name>.py` holds the function `<name>`.

A user's own plug-ins lie in folders outside the package, which have a sub-folder for each family.
The environment variable GAUNTLET_PLUGINS names these folders, so that every process of a workflow
finds the same plug-ins. Files whose names begin with an underscore are no plug-ins.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from gauntlet.core.errors import GauntletError

ENVIRONMENT = "GAUNTLET_PLUGINS"  # a JSON list of folders
LIBRARY = Path(__file__).resolve().parents[1]
# Families by their package below `gauntlet`, and the name of their sub-folder in a user's folder.
SUBFOLDERS = {
    "attacks": "attacks",
    "audit": "audit",
    "certify": "certify",
    "data": "data",
    "models": "models",
    "preprocess": "preprocess",
    "training.defenses": "defenses",
}


def load(family: str, name: str) -> Callable:
    """Load one plug-in's function.

    Raises GauntletError if there is no such file or the file has no function of its own name.
    """
    module = load_module(family, name)
    try:
        return getattr(module, name)
    except AttributeError as error:
        raise GauntletError(f"{module.__file__} has no function '{name}'.") from error


def load_module(family: str, name: str) -> ModuleType:
    """Load one plug-in's module, as `gauntlet.<family>.<name>`; GauntletError if there is none."""
    path = find(family, name)
    if path is None:
        places = "".join(f" or in {folder}" for folder in folders())
        where = f"gauntlet/{family.replace('.', '/')}/"
        raise GauntletError(f"There is no plug-in '{name}' in {where}{places}.")
    full = f"gauntlet.{family}.{name}"
    if is_built_in(path):
        return import_module(full)
    known = sys.modules.get(full)
    return known if known and known.__file__ == str(path) else _load_file(full, path)


def find(family: str, name: str) -> Path | None:
    """Find the file of a plug-in, the package's own first; None if there is none."""
    own = _built_in(family).get(name)
    if own is not None or not name.isidentifier() or name.startswith("_"):
        return own
    files = (Path(folder) / SUBFOLDERS[family] / f"{name}.py" for folder in folders())
    return next((path for path in files if path.is_file()), None)


def available(family: str) -> Mapping[str, Path]:
    """Give the files of a family's plug-ins by name, the package's own first.

    Folders of the user are read anew each time: a file may be added while a process lives.
    """
    found = dict(_built_in(family))
    for folder in folders():
        files = plugin_files(Path(folder) / SUBFOLDERS[family])
        found |= {name: path for name, path in files.items() if name not in found}
    return found


def is_built_in(path: Path) -> bool:
    """Tell whether a plug-in's file belongs to the package."""
    return path.is_relative_to(LIBRARY)


def use(chosen: Iterable[str]) -> None:
    """Name the folders of the user's plug-ins, for this process and those that it starts."""
    paths = [os.path.abspath(folder) for folder in chosen]
    os.environ.pop(ENVIRONMENT, None)
    if paths:
        os.environ[ENVIRONMENT] = json.dumps(paths)


def folders() -> list[str]:
    """List the folders of the user's plug-ins; GauntletError if the environment is wrong."""
    text = os.environ.get(ENVIRONMENT, "")
    try:
        found = json.loads(text or "[]")
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(part, str) for part in found):
        raise GauntletError(f"{ENVIRONMENT} is {text!r:.80}; allowed is a JSON list of folders.")
    return found


def plugin_files(folder: Path) -> dict[str, Path]:
    """Give the plug-in files in a folder by name, sorted; none if there is no such folder."""
    found = sorted(folder.glob("*.py")) if folder.is_dir() else []
    return {path.stem: path for path in found if not path.stem.startswith("_")}


@cache
def _built_in(family: str) -> Mapping[str, Path]:
    return plugin_files(LIBRARY.joinpath(*family.split(".")))


def _load_file(full: str, path: Path) -> ModuleType:
    plan = spec_from_file_location(full, path)
    assert plan is not None and plan.loader is not None, path
    module = module_from_spec(plan)
    sys.modules[full] = module
    try:
        plan.loader.exec_module(module)
    except Exception as error:
        del sys.modules[full]
        raise GauntletError(
            f"The plug-in {path} cannot be loaded ({type(error).__name__}: {error})."
        ) from error
    return module
