"""Measure whether a network's gradients are faster in bfloat16, for `compute.precision: auto`.

`python -m gauntlet.stages.measure_precision` reads the question as JSON from its input and prints
the answer as JSON. Planning starts it, since planning itself does not import PyTorch.
"""

import json
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from torch.nn.functional import cross_entropy

from gauntlet.core.batched_model import CHUNK_MULTIPLE, BatchedModel
from gauntlet.core.device import prepare
from gauntlet.core.rng import generator
from gauntlet.models import build_model
from gauntlet.stages.inputs import laid_out

FORMATS = ("float32", "bfloat16")
PAIRS, MOST_PAIRS = 5, 25  # passes in both formats, one after the other
ENOUGH = 2.0  # seconds of passes after PAIRS of them
PASS = 1.0  # seconds of one pass beyond which fewer images than the batch are shown


def measure(question: dict) -> dict:
    """Time the gradient (forward and backward) of a network with random weights by random images.

    `question` has `model`, `shape` (C, H, W), `classes`, `batch`, `threads` and `device`. Gives the
    median seconds of a pass by format, `speedup`, the median over pairs of passes of
    float32's seconds in bfloat16's, and how many `images` and `pairs` these are of.
    """
    device = prepare(question)
    network = build_model(question["model"], tuple(question["shape"]), question["classes"], 0)
    network = laid_out(network.to(device)).eval().requires_grad_(False)
    passes = {name: _pass(network, question, name, device) for name in FORMATS}
    clock = _clock(question)
    count = min(_count(passes, clock), question["batch"])
    for once in passes.values():
        once(count)
    pairs = _pairs(passes, clock, count)
    return {
        "seconds": {name: median(pair[name] for pair in pairs) for name in FORMATS},
        "speedup": median(pair["float32"] / pair["bfloat16"] for pair in pairs),
        "images": count,
        "pairs": len(pairs),
    }


def _pass(network, question: dict, precision: str, device) -> Callable[[int], None]:
    """Give a function that takes the gradient by as many random images as it is told."""
    count, stream = question["batch"], generator(0, "precision")
    images = torch.rand((count, *question["shape"]), generator=stream).to(device)
    labels = torch.randint(question["classes"], (count,), generator=stream).to(device)
    batched = BatchedModel(network, count, precision)

    def once(some: int) -> None:
        batched.gradient(
            images[:some],
            lambda logits, rows: cross_entropy(logits, labels[rows], reduction="none"),
        )
        if device.type == "cuda":
            torch.cuda.synchronize()

    return once


def _clock(question: dict) -> Callable[[], float]:
    """Give the clock: of one thread on a CPU its own time, which a busy machine does not change."""
    alone = question["device"] == "cpu" and question["threads"] == 1
    return time.process_time if alone else time.perf_counter


def _count(passes: dict[str, Callable], clock: Callable[[], float]) -> int:
    """Give how many images a pass shows in about PASS seconds, in whole chunks."""
    once, least = passes["float32"], CHUNK_MULTIPLE
    once(least)
    start = clock()
    once(least)
    each = max(clock() - start, 1e-9) / least
    return max(int(PASS / each) // least * least, least)


def _pairs(passes: dict[str, Callable], clock: Callable[[], float], count: int) -> list[dict]:
    """Time both formats in turn, so that what else the machine does meets both."""
    pairs, begin = [], clock()
    while len(pairs) < PAIRS or (clock() - begin < ENOUGH and len(pairs) < MOST_PAIRS):
        pair = {}
        for name, once in passes.items():
            start = clock()
            once(count)
            pair[name] = max(clock() - start, 1e-9)
        pairs.append(pair)
    return pairs


def main() -> int:
    """Answer the question on the standard input."""
    print(json.dumps(measure(json.load(sys.stdin))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
