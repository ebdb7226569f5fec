"""Install what a machine without a network lacks, from a folder of wheels."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

# What the check imports: the module, and its distribution. PyTorch is the machine's own.
NEEDED = {
    "numpy": "numpy",
    "scipy": "scipy",
    "PIL": "pillow",
    "yaml": "pyyaml",
    "jsonschema": "jsonschema",
    "rich": "rich",
    "safetensors": "safetensors",
    "typer": "typer",
    "tabulate": "tabulate",
    "pandas": "pandas",
    "psutil": "psutil",
    "pytest": "pytest",
    "pytest_timeout": "pytest-timeout",
    "hypothesis": "hypothesis",
    "filelock": "filelock",
}
PEERS = {"torchattacks": "torchattacks", "foolbox": "foolbox"}


def missing() -> list[str]:
    """Name the distributions that are needed and not installed."""
    return [name for module, name in NEEDED.items() if find_spec(module) is None]


def install(folder: Path) -> None:
    """Install what is missing, and the peers that the folder has; nothing else is changed.

    `--wheels` may be given in every run: what is there already is left as it is.
    """
    wanted = missing()
    if wanted:
        _pip(folder, wanted)
    carried = {path.name.split("-")[0].lower() for path in folder.glob("*.whl")}
    peers = [
        name for module, name in PEERS.items() if name in carried and find_spec(module) is None
    ]
    if peers:  # with their own pins they would replace PyTorch's neighbors
        _pip(folder, ["--no-deps", *peers])


def _pip(folder: Path, words: list[str]) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index"]
    command += ["--disable-pip-version-check", "--find-links", str(folder), *words]
    subprocess.run(command, check=True)
