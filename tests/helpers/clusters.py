"""Starting Snakemake with a cluster's profile on a small study, in a folder of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import yaml

from gauntlet.runtime import worker as warm
from tests.helpers.snakes import ROOT

PROBE = Path(__file__).resolve().parent / "probe"
STARTS = "starts.tsv"
QUICK = ("--latency-wait", "10", "--slurm-init-seconds-before-status-checks", "1")
QUICK += ("--max-status-checks-per-second", "1", "--nocolor")


class Start(NamedTuple):
    """One start of a stage's script, as the script itself has seen it."""

    script: str
    job: str
    node: str
    devices: str
    worker: str


class Run:
    """A Snakemake that is running in the background; what it prints goes to a file."""

    def __init__(self, home: Path, environment: dict, *arguments: str, launch: bool = False):
        self.home, self.log = home, home / "printed.log"
        module = ["gauntlet.runtime.cluster.launch", "--"] if launch else ["snakemake"]
        command = [sys.executable, "-m", *module, "--profile", "profiles/slurm"]
        command += ["--configfile", "overlay.yaml", *QUICK, *arguments]
        paths = [str(PROBE), str(home / "workflow" / "lib")]
        kept = {
            key: value
            for key, value in environment.items()
            if key != warm.ADDRESS or value == "off"
        }
        kept |= {"PYTHONPATH": os.pathsep.join(paths)}
        kept |= {"GAUNTLET_TEST_STARTS": str(home / STARTS)}
        with open(self.log, "a") as stream:
            self.process = subprocess.Popen(
                command, cwd=home, env=kept, stdout=stream, stderr=subprocess.STDOUT
            )

    def end(self, seconds: float = 900) -> str:
        """Wait for the end and give what was printed; a run that takes too long is interrupted."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGINT)
            self.kill(30)
            raise AssertionError(f"not done in {seconds:g} s: {self.printed()[-4000:]}") from None
        return self.printed()

    def kill(self, grace: float = 0) -> None:
        """End Snakemake by SIGKILL, after it had some seconds to end by itself."""
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def printed(self) -> str:
        """Give what was printed so far."""
        return self.log.read_text()

    def starts(self, script: str) -> list[Start]:
        """List the starts of a stage's script so far."""
        notes = self.home / STARTS
        lines = notes.read_text().splitlines() if notes.exists() else []
        found = [Start(*line.split("\t")) for line in lines]
        return [start for start in found if start.script == script]


def overlay(home: Path, study: dict) -> Path:
    """Write a study's overlay where `Run` finds it."""
    (home / "overlay.yaml").write_text(yaml.safe_dump(study))
    return home


def profile(name: str = "slurm") -> Path:
    """Give a profile's file."""
    return ROOT / "profiles" / name / "profile.yaml"
