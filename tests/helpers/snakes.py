"""Starting Snakemake on a small study, in a folder of its own."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from filelock import FileLock

from tests.helpers.places import ROOT

SHARED: Path | None = None  # the folder of finished studies; a session's fixture sets it
STUDY = {
    "run": ["tiny"],
    "training": {"epochs": 1, "batch": 64},
    "datasets": {
        "digits": {"split": {"train_limit": 120, "validation_limit": 40, "test_limit": 40}}
    },
    "models": {"article_cnn": {"channels": [4, 8], "hidden": 16}},
    "attacks": {
        "pgd3": {"kind": "pgd", "norm": "linf", "eps": 0.1, "steps": 3, "loss_draws": 1},
        "quick": {"kind": "fgsm", "norm": "linf", "eps": 0.1, "loss_draws": 0},
        "ramp": {"kind": "pgd", "norm": "linf", "eps": [0.05, 0.1], "steps": 2, "loss_draws": 0},
    },
    "defenses": {
        "pgd_at": {"attack": "pgd3"},
        "static": {"attack": "pgd3"},
    },
    "studies": {
        "tiny": {
            "datasets": ["digits"],
            "models": ["article_cnn"],
            "defenses": ["baseline", "pgd_at", "static"],
            "attacks": ["quick", "pgd3", "ramp"],
            "seeds": [0],
            "transfer": {"source": "baseline", "attacks": ["pgd3"]},
        }
    },
}


def house(folder: Path) -> Path:
    """Copy the workflow's own files as a user's checkout has them, with what is compiled."""
    folder.mkdir(parents=True)
    halves = shutil.ignore_patterns("*.pyc.*")  # compiled by another worker at this moment
    for name in ("workflow", "config", "envs", "profiles"):
        shutil.copytree(ROOT / name, folder / name, ignore=halves)
    shutil.copy2(ROOT / "Snakefile", folder)
    return folder


def merged(base: dict, change: dict) -> dict:
    """Lay a change over a configuration, as Snakemake lays one file over another."""
    out = dict(base)
    for key, value in change.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merged(out[key], value) if both else value
    return out


def snakemake(
    home: Path,
    *arguments: str,
    study: dict | None = None,
    cores: int = 2,
    check: bool = True,
    warm: bool = True,
) -> str:
    """Run Snakemake with a study's overlay; gives all that it printed."""
    overlay = home / "overlay.yaml"
    overlay.write_text(yaml.safe_dump(study or STUDY))
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--nocolor"]
    command += ["--configfile", str(overlay), *arguments]
    environment = {key: value for key, value in os.environ.items() if key != "GAUNTLET_WARM"}
    environment |= {} if warm else {"GAUNTLET_WARM": "off"}
    done = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, timeout=600
    )
    printed = done.stdout + done.stderr
    assert not check or done.returncode == 0, printed[-6000:]
    return printed


def planned(home: Path, study: dict | None = None, *arguments: str) -> dict[str, set[str]]:
    """Say which jobs a dry run would run: for each rule the wildcards of its jobs."""
    printed = snakemake(home, "-n", *arguments, study=study)
    jobs: dict[str, set[str]] = {}
    for block in re.split(r"\n(?=(?:local)?rule )", printed)[1:]:
        name = re.match(r"(?:local)?rule (\w+):", block).group(1)
        found = re.search(r"\n    wildcards: (.*)", block)
        wildcards = dict(part.split("=") for part in found.group(1).split(", ")) if found else {}
        jobs.setdefault(name, set()).add("/".join(wildcards.values()))
    return jobs


def finished(folder: Path, study: dict | None = None) -> Path:
    """Give a checkout of the caller's own in which a study has been run.

    Each study is run once for all tests and workers of a run of the tests, and copied then.
    """
    return twin(_made(study or STUDY), folder)


def _made(study: dict) -> Path:
    """Run a study in the folder that all workers share, unless one has done so already."""
    name = hashlib.sha256(json.dumps(study, sort_keys=True).encode()).hexdigest()[:12]
    home, done = SHARED / name, SHARED / f"{name}.done"
    with FileLock(f"{home}.lock"):
        if not done.exists():
            shutil.rmtree(home, ignore_errors=True)
            snakemake(house(home), study=study)
            done.touch()
    return home


def twin(home: Path, folder: Path) -> Path:
    """Copy a finished study for a test that changes it."""
    return Path(shutil.copytree(home, folder / "house", symlinks=True))
