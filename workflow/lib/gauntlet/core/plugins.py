"""Plug-ins by file name: `gauntlet/<family>/<name>.py` holds the function `<name>`."""

from collections.abc import Callable
from importlib import import_module

from gauntlet.core.errors import GauntletError


def load(family: str, name: str) -> Callable:
    """Load one plug-in's function.

    Raises GauntletError if there is no such file or the file has no function of its own name.
    """
    module = f"gauntlet.{family}.{name}"
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise GauntletError(f"There is no plug-in '{name}' in gauntlet/{family}/.") from error
    except AttributeError as error:
        raise GauntletError(f"gauntlet/{family}/{name}.py has no function '{name}'.") from error
