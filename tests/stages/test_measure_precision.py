"""Whether bfloat16 is faster: what is timed, on what, and what comes out."""

import io
import json
import sys

import pytest
import torch
from torch import nn

from gauntlet.stages import measure_precision
from tests.helpers import tiny

QUESTION = {"model": tiny.CNN, "shape": [1, 8, 8], "classes": 10, "batch": 16, "threads": 1}
QUESTION |= {"device": "cpu"}


class Clock:
    """A clock that only the network moves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Paced(nn.Module):
    """A network whose passes take as long as is said, for each image and format."""

    def __init__(self, clock: Clock, exact: float, low: float):
        super().__init__()
        self.clock, self.exact, self.low, self.seen = clock, exact, low, []

    def forward(self, images):
        lower = torch.is_autocast_enabled("cpu")
        self.seen.append((lower, len(images)))
        self.clock.now += len(images) * (self.low if lower else self.exact)
        return images.flatten(1)[:, :10]


@pytest.fixture
def paced(monkeypatch, given_back):
    """Let a network and a clock stand for the real ones."""

    def make(exact: float, low: float) -> Paced:
        clock = Clock()
        network = Paced(clock, exact, low)
        monkeypatch.setattr(measure_precision, "build_model", lambda *of: network)
        monkeypatch.setattr(measure_precision, "_clock", lambda question: clock)
        return network

    return make


@pytest.mark.parametrize(("exact", "low"), [(0.02, 0.01), (0.01, 0.02), (0.01, 0.01)])
def test_the_speedup_is_that_of_the_passes(paced, exact, low):
    paced(exact, low)
    found = measure_precision.measure(QUESTION)
    assert found["speedup"] == pytest.approx(exact / low)
    assert found["seconds"] == pytest.approx({"float32": 16 * exact, "bfloat16": 16 * low})


def test_formats_take_turns_on_the_specs_batch(paced):
    network = paced(0.001, 0.001)
    found = measure_precision.measure(QUESTION)
    timed = network.seen[-2 * found["pairs"] :]
    assert timed == [(False, 16), (True, 16)] * found["pairs"]
    assert measure_precision.PAIRS <= found["pairs"] <= measure_precision.MOST_PAIRS
    assert found["images"] == 16 and network.seen[-2 * found["pairs"] - 1][0]  # both were warm


def test_of_a_slow_network_fewer_images_are_shown(paced):
    paced(1 / 24, 1 / 24)
    found = measure_precision.measure(QUESTION | {"batch": 128})
    assert found["images"] == 24 and found["pairs"] == measure_precision.PAIRS
    paced(100.0, 100.0)
    assert measure_precision.measure(QUESTION | {"batch": 128})["images"] == 8


def test_a_batch_smaller_than_a_chunk_is_kept(paced):
    paced(0.001, 0.001)
    assert measure_precision.measure(QUESTION | {"batch": 3})["images"] == 3


def test_a_real_network_is_asked_through_standard_input(monkeypatch, capsys, given_back):
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(QUESTION)))
    monkeypatch.setattr(measure_precision, "ENOUGH", 0.0)
    assert measure_precision.main() == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["pairs"] == measure_precision.PAIRS and found["speedup"] > 0
    assert all(seconds > 0 for seconds in found["seconds"].values())
