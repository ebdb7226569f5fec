"""A small job that makes an array, for tests of what befalls jobs."""

import logging
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gauntlet.runtime import store
from tests.helpers.found import State


@contextmanager
def own_process(monkeypatch, folder="."):
    """Let jobs set up this process, in a folder of theirs, without a store; put all back then."""
    log = logging.getLogger("gauntlet")
    before = log.handlers[:], log.level, log.propagate
    monkeypatch.setenv(store.PLACE, "off")
    monkeypatch.chdir(folder)
    state = State.now()
    yield
    state.restore()
    log.handlers[:], log.level, log.propagate = before


def array_task(folder="out", source="source.npy") -> dict:
    """Give the task of a job that makes an array from another, in this folder."""
    Path(folder).mkdir(exist_ok=True)
    np.save("source.npy", np.arange(10.0))
    return {
        "rule": "make_array",
        "gpus": 0,
        "stage": "make_array",
        "inputs": {"source": source},
        "outputs": {"array": f"{folder}/a.npy", "provenance": f"{folder}/a.provenance.json"},
        "params": {"spec": {"size": 4}, "code": "c"},
        "log": "logs/make.log",
    }


def make_array(source, array, *, spec):
    """Make an array of 1,000 columns from another."""
    np.save(array, np.resize(np.load(source), (spec["size"], 1000)))
