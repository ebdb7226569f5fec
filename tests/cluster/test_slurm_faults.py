"""On a real Slurm: whatever happens to a job, a study ends with the bytes of a quiet local run."""

import hashlib
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.helpers import clusters, snakes

pytestmark = [pytest.mark.slurm, pytest.mark.workflow]
RUN = "results/runs/digits/article_cnn/baseline/seed{}/"
FILES = ("best.pt", "last.pt", "history.csv", "train.json")
FILES += ("attacks/quick/test/ledger.csv", "attacks/quick/test/examples.npy")
LOG = "logs/runs/digits/article_cnn/baseline/seed{}/train.log"
SHORT, LONG = 400, 3600  # epochs: some 12 and 110 s; the latter outlives the limit's warning
ON_FIRST, ON_SECOND = {"GAUNTLET_PARTITION": "first"}, {"GAUNTLET_PARTITION": "second"}
TRIED_AGAIN = "Trying to restart job"
GOES_ON = "of an interrupted training"


def _study(epochs):
    study = snakes.merged(snakes.STUDY, {"defenses": {"baseline": {"epochs": epochs}}})
    lists = {"datasets": ["digits"], "models": ["article_cnn"], "defenses": ["baseline"]}
    study["studies"] = {"tiny": lists | {"attacks": ["quick"], "seeds": [0, 1]}}
    return study


def _targets(seeds):
    return [RUN.format(seed) + "attacks/quick/test/ledger.csv" for seed in seeds]


def _digests(home, seeds):
    """Give the digests of all that is made of some seeds."""
    files = [RUN.format(seed) + name for seed in seeds for name in FILES]
    return {name: hashlib.sha256((home / name).read_bytes()).hexdigest() for name in files}


class Scenario:
    """One study on the cluster, to which something happens."""

    def __init__(self, slurm, folder, epochs=SHORT, seeds=(0,), environment=ON_FIRST):
        self.slurm, self.epochs, self.seeds = slurm, epochs, seeds
        self.home = clusters.overlay(snakes.house(folder), _study(epochs))
        self.environment = slurm.environment | environment
        self.train_log = self.home / LOG.format(0)

    def start(self, *arguments, **choice):
        """Start Snakemake with the profile."""
        arguments = [*_targets(self.seeds), *arguments]
        return clusters.Run(self.home, self.environment, *arguments, **choice)

    def training(self, run, epoch=20):
        """Wait until the first training is well under way; give its job's number."""
        self.slurm.wait(lambda: f"epoch {epoch}/" in self.log(), seconds=200)
        return run.starts("train_model")[-1].job

    def log(self):
        """Give the first training's log."""
        return self.train_log.read_text() if self.train_log.exists() else ""


def cancelled(slurm, folder):
    """A job is cancelled in mid-training."""
    it = Scenario(slurm, folder)
    run = it.start()
    slurm.ask("scancel", it.training(run))
    printed = run.end()
    return it, run, [("CANCELLED", printed), (TRIED_AGAIN, printed), (GOES_ON, it.log())]


def node_lost(slurm, folder):
    """A node loses power in mid-training, and comes back: Slurm puts the job into the queue again.

    It would hold it for two minutes, which an administrator can spare us.
    """
    it = Scenario(slurm, folder, environment=ON_SECOND)
    run = it.start()
    job = it.training(run)
    slurm.lose_node("node2")
    slurm.wait(lambda: job in slurm.jobs("PENDING"), seconds=90)
    slurm.start_node("node2")
    slurm.wait(
        lambda: slurm.ask("sinfo", "-h", "-n", "node2", "-o", "%T", "-p", "second") == "idle"
    )
    time.sleep(3)  # what the controller had to say about the lost job has come by then
    slurm.ask("scontrol", "update", f"JobId={job}", "StartTime=now")
    run.end()
    daemon = (slurm.root / "log" / "slurmctld.log").read_text()
    assert [start.job for start in run.starts("train_model")] == [job, job]
    return it, run, [(f"requeue job JobId={job}", daemon), (GOES_ON, it.log())]


def over_time(slurm, folder):
    """A training takes longer than its limit: warned, it saves; tried again, it has twice as long.

    Slurm's warning can come a minute earlier than it is asked for.
    """
    it = Scenario(slurm, folder, epochs=LONG)
    sizes = ["train_model:runtime=2*3**(attempt-1)", "train_model:slurm_extra=--signal=USR1@20"]
    run = it.start("--set-resources", *sizes)
    printed = run.end()
    message = [("asked to stop in epoch", printed), (TRIED_AGAIN, printed), (GOES_ON, it.log())]
    return it, run, message


def over_memory(slurm, folder):
    """A job takes more memory than it asked for; tried again, it asks for more."""
    it = Scenario(slurm, folder)
    run = it.start("--set-resources", "train_model:mem_mb=300*4**(attempt-1)")
    printed = run.end()
    kept = (it.home / ".snakemake" / "slurm_logs" / "rule_train_model").rglob("*.log")
    failed = "".join(path.read_text() for path in kept)
    return it, run, [("exceeded memory limit", failed), (TRIED_AGAIN, printed)]


def killed(slurm, folder):
    """Snakemake is killed while one job runs and one waits; the launcher waits for both."""
    it = Scenario(slurm, folder, seeds=(0, 1))
    alone = ("--set-resources", "train_model:gpu=2")  # all that the partition has
    first = it.start(*alone)
    slurm.wait(lambda: len(first.starts("train_model")) == 1, seconds=200)
    slurm.wait(lambda: first.printed().count("rule_train_model/") == 2, seconds=60)
    first.kill()
    second = it.start(*alone, launch=True)
    printed = second.end()
    starts = second.starts("train_model")
    assert len(starts) == 2, starts  # an orphan that is not waited for has a double beside it
    assert {start.devices for start in starts} == {"0,1"}
    return it, second, [("jobs of an earlier run are left, 1 running and 1 waiting", printed)]


def controller_away(slurm, folder):
    """The controller does not answer for some seconds, in which a job ends."""
    it = Scenario(slurm, folder)
    run = it.start()
    it.training(run, epoch=SHORT - 40)
    slurm.stop_controller()
    time.sleep(8)
    slurm.start_controller()
    printed = run.end()
    assert TRIED_AGAIN not in printed
    assert len(run.starts("train_model")) == 1
    return it, run, [("steps (100%) done", printed)]


SIDE_BY_SIDE = (cancelled, node_lost, over_time, over_memory, killed)
ALL = (*SIDE_BY_SIDE, controller_away)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """Give the digests of undisturbed local runs, by epochs."""
    asked = {SHORT: (0, 1), LONG: (0,)}

    def run(epochs):
        home = snakes.house(tmp_path_factory.mktemp("quiet") / "home")
        targets = _targets(asked[epochs])
        snakes.snakemake(home, "--nocolor", *targets, study=_study(epochs), cores=1)
        return _digests(home, asked[epochs])

    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(asked, pool.map(run, asked), strict=True))
    return found


@pytest.fixture(scope="module")
def outcomes(slurm, tmp_path_factory):
    """Run all scenarios that do not disturb one another side by side, then the others."""
    folder = tmp_path_factory.mktemp("faults")
    with ThreadPoolExecutor(len(SIDE_BY_SIDE)) as pool:
        runs = {fault: pool.submit(fault, slurm, folder / fault.__name__) for fault in SIDE_BY_SIDE}
    with ThreadPoolExecutor(1) as pool:
        runs[controller_away] = pool.submit(controller_away, slurm, folder / "controller_away")
    return runs


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.__name__)
def test_ends_with_the_same_bytes_and_says_what_happened(fault, outcomes, quiet):
    it, run, message = outcomes[fault].result()
    assert run.process.returncode == 0, run.printed()[-4000:]
    for words, text in message:
        assert words in text
    made = _digests(it.home, it.seeds)
    assert made == {name: quiet[it.epochs][name] for name in made}
    left = [path.name for path in (it.home / "results").rglob(".*.part*")]
    assert not left
    shutil.rmtree(it.home)
