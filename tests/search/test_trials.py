"""What trials have reached, which of them is best, and which end early."""

import random

from gauntlet.search import trials
from gauntlet.search.trials import COMPLETE, PRUNED, REFUSED

ROBUST = {"robust": 1.0, "clean": 0.0}


def rows(*accuracies):
    """Give a history: (robust, clean) of each epoch, and True for one that was taken back."""
    names = ("validation_robust", "validation_clean", "rolled_back")
    return [
        {"epoch": number} | dict(zip(names, epoch, strict=False))
        for number, epoch in enumerate(accuracies, 1)
    ]


def result(trial, values, state=COMPLETE, seed=100, **more):
    reached = None if state == REFUSED else values[-1]
    own = {"trial": trial, "seed": seed, "state": state, "curve": values, "value": reached}
    own |= {"robust": reached, "clean": reached, "n": 40, "start": False, "reason": ""}
    return own | {"settings": {"beta": trial}} | more


HISTORY = rows((0.2, 0.9), (0.5, 0.8), (0.4, 0.9), (0.5, 0.85), (0.9, 0.9, True))


def test_the_curve_follows_the_weights_that_would_be_kept():
    assert trials.curve(HISTORY, "best", ROBUST) == [0.2, 0.5, 0.5, 0.5, 0.5]
    assert trials.curve(HISTORY, "last", ROBUST) == [0.2, 0.5, 0.4, 0.5, 0.5]
    # ties by clean accuracy: the fourth epoch takes the place of the second
    kept = [row["epoch"] for row in trials.chosen_rows(HISTORY, "best")]
    assert kept == [1, 2, 2, 4, 4]


def test_the_goal_weighs_both_accuracies():
    goal = {"robust": 0.75, "clean": 0.25}
    assert trials.curve(rows((0.4, 0.8)), "best", goal) == [0.5]


def test_thresholds_are_medians_of_the_trials_of_a_seed():
    known = [
        result(1, [0.1, 0.5]),
        result(2, [0.3, 0.4, 0.6]),
        result(3, [0.2, 0.3, 0.4]),
        result(4, [0.2], state=PRUNED),
        result(5, [0.9, 0.9, 0.9], state=REFUSED),
        result(6, [0.4, 0.6, 0.8]),
        result(1, [0.7], seed=101),
    ]
    assert trials.thresholds(known) == {"100": [0.2, 0.4, 0.5]}
    assert trials.thresholds(known[:3]) == {}


def test_ending_trials_early_does_not_raise_the_bar_for_all_that_follow():
    """Trials as good as chance has it: about half of them are complete, however many there were."""
    stream, known = random.Random(0), []
    for number in range(1, 61):
        skill, values = stream.random(), []
        limits = trials.thresholds(known).get("100", [])
        while len(values) < 9 and not trials.is_hopeless(values, limits, epochs=9):
            values.append(skill * (len(values) + 1) / 9)
        state = COMPLETE if len(values) == 9 else PRUNED
        known.append(result(number, values, state))
    late = [one["state"] for one in known[20:]]
    assert 0.25 < late.count(COMPLETE) / len(late) < 0.75


def test_a_trial_below_the_median_ends_after_the_warm_up():
    limits = [0.5] * 6
    assert not trials.is_hopeless([0.1], limits, epochs=6)
    assert trials.is_hopeless([0.1, 0.4], limits, epochs=6)
    assert not trials.is_hopeless([0.1, 0.5], limits, epochs=6)
    assert not trials.is_hopeless([0.1, 0.4], [], epochs=6)
    assert not trials.is_hopeless([], limits, epochs=6)
    assert not trials.is_hopeless([0.1] * 7, limits, epochs=7)


def test_seeds_are_joined_and_the_worst_state_counts():
    known = [
        result(2, [0.4], seed=101, state=PRUNED, reason="late"),
        result(1, [0.2, 0.4]),
        result(2, [0.5, 0.6]),
        result(3, [0.9], state=REFUSED, reason="not finite"),
        result(1, [0.2, 0.5], seed=101),
        result(3, [0.9, 0.9], seed=101),
    ]
    one, two, three = trials.joined(known)
    assert (one.trial, one.state, one.value, one.seeds, one.epochs) == (1, COMPLETE, 0.45, 2, 2)
    assert (two.state, two.value, two.epochs, two.reason) == (PRUNED, 0.5, 1, "late")
    assert (three.state, three.value, three.reason) == (REFUSED, None, "not finite")


def test_the_best_is_complete_and_the_earlier_of_equals():
    known = [
        result(1, [0.4]),
        result(2, [0.6]),
        result(3, [0.6]),
        result(4, [0.8], state=PRUNED),
        result(5, [0.9], state=REFUSED),
    ]
    assert trials.best(trials.joined(known)).trial == 2
    assert trials.best(trials.joined(known[3:])) is None
