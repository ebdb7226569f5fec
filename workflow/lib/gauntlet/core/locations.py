"""Where Gauntlet's own files are: in a checkout, or in the installed package. Light imports."""

from functools import cache
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
CHECKOUT = PACKAGE.parents[2]  # the root, if this package is workflow/lib/gauntlet of a checkout
INSTALLED = PACKAGE / "_workflow"  # where the wheel keeps the workflow's files
SCHEMA = Path("workflow", "schemas", "config.schema.yaml")
DISTRIBUTION = "gauntlet-robustness"


@cache
def workflow_home() -> Path:
    """Give the folder that holds Snakefile, workflow/, config/, envs/ and profiles/.

    It is the root of a checkout if this code is in one, else a folder of the installed package.
    Raises FileNotFoundError if the workflow's files are in neither place.
    """
    for home in (CHECKOUT, INSTALLED):
        if (home / SCHEMA).is_file():
            return home
    raise FileNotFoundError(
        f"The workflow's files are neither in {CHECKOUT} nor in {INSTALLED}; install "
        f"{DISTRIBUTION} again."
    )


def schema_path() -> Path:
    """Give the path of the schema of all settings."""
    return workflow_home() / SCHEMA


@cache
def version() -> str:
    """Give Gauntlet's version: that of the checkout's pyproject.toml, else the installed one's.

    A copy of the workflow's folders alone knows no version: "unknown".
    """
    project = CHECKOUT / "pyproject.toml"
    if (CHECKOUT / SCHEMA).is_file() and project.is_file():
        import tomllib

        return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"
