"""Which trackers a configuration asks for, and whether their packages are installed.

They are part of no specification: turning one on or off makes no job run again.
"""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

# The package that each tracker needs, and its extra of this distribution.
PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}


def problems(config: dict[str, Any]) -> list[str]:
    """Name each tracker that is asked for and not installed, with the command that installs it."""
    return list(_missing(config["tracking"]))


def _missing(chosen: dict[str, Any]) -> Iterator[str]:
    for name, package in PACKAGES.items():
        if chosen[name] and find_spec(package) is None:
            yield (
                f"tracking.{name} is set, but the package {package} is not installed; install it "
                f"by `pip install 'gauntlet-robustness[{name}]'` (in a checkout "
                f"`.venv/bin/pip install {_wanted(name)}`), or remove the setting."
            )


def _wanted(name: str) -> str:
    return {"mlflow": "mlflow-skinny"}.get(name, name)


def environment(config: dict[str, Any]) -> str:
    """Give what jobs read of the trackers: JSON, in which every choice is made."""
    chosen = dict(config["tracking"])
    if chosen["tensorboard"] is None:
        chosen["tensorboard"] = find_spec(PACKAGES["tensorboard"]) is not None
    return json.dumps(chosen)
