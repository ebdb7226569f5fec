"""Kill jobs and Snakemake at random moments over a study, go on each time, compare all results.

`make fault-test` (KILLS=30), or `python tests/faults.py --kills 30 --seed 0`.
"""

import argparse
import filecmp
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import yaml

from tests.helpers.snakes import STUDY, house, merged, snakemake

# What tells when and how long: it differs between two undisturbed runs, too.
TIMED = ("*.provenance.json", "timings.csv", "summary.md", "summary.tex")
TIMED += ("compute.png", "compute.svg")
LONG = {
    "compute": {"batch": 16, "checkpoint_minutes": 0},
    "training": {"epochs": 25},
    "certificates": {"crown": {"kind": "crown", "norm": "linf", "eps": [0.05]}},
    "attacks": {"quick": {"kind": "pgd", "steps": 100, "restarts": 20, "loss_draws": 1}},
    "studies": {
        "tiny": {"defenses": ["baseline", "pgd_at"], "certificates": ["crown"], "seeds": [0, 1]}
    },
}
VICTIMS = ("snakemake", "job", "everything")
LIMIT = 900  # seconds that one run may take


class Disturbed:
    """A study in a folder of its own that is killed again and again."""

    def __init__(self, home: Path, chance: random.Random, store: bool):
        self.home, self.chance, self.message = home, chance, []
        (home / "overlay.yaml").write_text(yaml.safe_dump(merged(STUDY, LONG)))
        self.environment = {k: v for k, v in os.environ.items() if k != "GAUNTLET_WARM"}
        self.environment |= {} if store else {"GAUNTLET_STORE": "off"}

    def run(self, kill: bool) -> bool:
        """Run, and kill at a random moment if asked; tell whether the study is done."""
        self._snakemake("--unlock").wait(LIMIT)
        main = self._snakemake()
        victim, wait = self.chance.choice(VICTIMS), self.chance.uniform(2.5, 9.0)
        try:
            main.wait(wait if kill else LIMIT)
        except subprocess.TimeoutExpired:
            if not kill:
                raise
            self.message.append(f"{victim} after {wait:.1f} s")
            self._kill(victim, psutil.Process(main.pid))
            main.wait(LIMIT)
        return main.returncode == 0

    def _kill(self, victim: str, main: psutil.Process) -> None:
        below = [one for one in main.children(recursive=True) if _is_job(one)]
        chosen = {"snakemake": [main], "everything": [main, *main.children(recursive=True)]}
        chosen["job"] = [self.chance.choice(below)] if below else []
        for process in chosen[victim]:
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue

    def _snakemake(self, *arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--nocolor"]
        command += ["--configfile", "overlay.yaml", *arguments]
        with open(self.home / "said.txt", "a") as said:
            return subprocess.Popen(
                command, cwd=self.home, env=self.environment, stdout=said, stderr=said
            )


def _is_job(process: psutil.Process) -> bool:
    """Tell a job's launcher, or the warm worker's child that computes it, from their parents."""
    try:
        line = " ".join(process.cmdline())
        warm = "gauntlet.runtime.worker" in line and "gauntlet.runtime.worker" in " ".join(
            process.parent().cmdline()
        )
        return warm or ".snakemake/scripts" in line or "/workflow/scripts/" in line
    except (psutil.NoSuchProcess, AttributeError):
        return False


def differences(one: Path, other: Path) -> list[str]:
    """List the result files that are not the same in two folders, those that tell times aside."""
    found = [_results(folder) for folder in (one, other)]
    lost = sorted(map(str, found[0] ^ found[1]))
    both = sorted(found[0] & found[1])
    return lost + [str(p) for p in both if not filecmp.cmp(one / p, other / p, shallow=False)]


def _results(folder: Path) -> set[Path]:
    files = (path for path in (folder / "results").rglob("*") if path.is_file())
    kept = {path.relative_to(folder) for path in files if not any(map(path.match, TIMED))}
    assert kept
    return kept


def calm_study(folder: Path) -> Path:
    """Run the study once, undisturbed."""
    home = house(folder / "calm")
    snakemake(home, study=merged(STUDY, LONG))
    return home


def disturb(calm: Path, folder: Path, kills: int, seed: int, store: bool) -> list[str]:
    """Kill a study `kills` times, beginning anew whenever it ends; say what was killed.

    Raises AssertionError if any result differs from the undisturbed run's in `calm`, or if
    anything half-made is left.
    """
    message, chance, rounds = [], random.Random(seed), 0
    while len(message) < kills:
        study = Disturbed(house(folder / f"round{rounds}"), chance, store)
        done, rounds = False, rounds + 1
        while not done:
            done = study.run(kill=len(message) + len(study.message) < kills)
        message += study.message
        _compare(calm, study)
    return message


def _compare(calm: Path, study: Disturbed) -> None:
    story = "; ".join(study.message) + "\n" + (study.home / "said.txt").read_text()[-4000:]
    assert differences(calm, study.home) == [], story
    time.sleep(1.5)  # an orphan of the last kill ends within a second
    left = [str(p) for p in (study.home / "results").rglob("*") if ".part" in p.name]
    left += [str(p) for p in (study.home / ".gauntlet" / "partial").glob("*")]
    assert left == [], story


def main() -> None:
    """Disturb a study with and without the store, and say what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        calm = calm_study(Path(folder))
        for store in (True, False):
            share = asked.kills // 2 + (asked.kills % 2 if store else 0)
            message = disturb(calm, Path(folder) / str(store), share, asked.seed + store, store)
            counts = ", ".join(f"{sum(v in t for t in message)} x {v}" for v in VICTIMS)
            print(f"store {'on' if store else 'off'}: killed {counts}; all results the same")
    print(f"again with --kills {asked.kills} --seed {asked.seed}")


if __name__ == "__main__":
    main()
