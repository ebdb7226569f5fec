"""What holds every test to its marks and to its process: it sees what it must see."""

import os
import signal
import sys

import pytest
import torch

from tests.helpers.found import State, Watch


def test_what_a_test_leaves_behind_is_named_and_put_back(tmp_path):
    before = State.now()
    signal.signal(signal.SIGUSR2, lambda *_: None)
    os.chdir(tmp_path)
    os.environ["GAUNTLET_NEW"] = "1"
    torch.set_default_dtype(torch.float64)
    found = before.changes()
    before.restore()
    message = ("handler of SIGUSR2", "working directory", "GAUNTLET_NEW", "default dtype")
    assert len(found) == len(message)
    assert all(word in text for word, text in zip(message, found, strict=True))
    assert before.changes() == []


@pytest.mark.parametrize(
    ("command", "starts"),
    [
        ([sys.executable, "-m", "snakemake", "-n"], True),
        (["/env/bin/snakemake", "--cores", "1"], True),
        ([sys.executable, "-m", "gauntlet.runtime.cluster.launch"], True),
        ([sys.executable, "-m", "gauntlet", "run", "mine.yaml"], True),
        ([sys.executable, "-m", "gauntlet", "list", "attacks"], False),
        ([sys.executable, "-c", "import snakemake"], False),
    ],
)
def test_a_start_of_snakemake_is_seen(command, starts):
    watch = Watch()
    watch._see("subprocess.Popen", (command[0], command, None, None))
    assert bool(watch.starts) == starts
