"""Single-step training that collapses is reported, and honest training is not."""

import pytest

from gauntlet.training.catastrophic_overfitting import find_collapse

HONEST = [(0.3, 0.2), (0.5, 0.4), (0.7, 0.5), (0.8, 0.55)]


@pytest.mark.parametrize(
    ("rows", "single_step", "epoch"),
    [
        (HONEST, True, None),
        ([(0.9, 0.1), (0.95, 0.1)], False, None),  # never robust: nothing collapsed
        ([(0.9, 0.1), (0.95, 0.1)], True, 2),
        ([(0.9, 0.1), (0.5, 0.4)], True, None),  # the gap has closed
        ([(0.5, 0.4), (0.3, 0.1)], True, None),  # both fell
        ([(0.5, 0.4), (0.95, 0.3)], False, None),  # a gap, but not half is lost
        ([*HONEST, (0.95, 0.02), (0.99, 0.0)], False, 5),
        ([(0.5, 0.4), (0.9, 0.0), (0.5, 0.45)], False, 2),  # also if it recovers
    ],
)
def test_collapse_is_told_once_and_only_then(rows, single_step, epoch):
    history = [
        {"epoch": number, "validation_fgsm": quick, "validation_robust": robust}
        for number, (quick, robust) in enumerate(rows, 1)
    ]
    message = find_collapse(history, single_step)
    assert (message is None) == (epoch is None)
    assert epoch is None or f"epoch {epoch}:" in message
