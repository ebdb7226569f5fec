"""What is tried next, and which setting mattered."""

import math
import warnings

import pytest

from gauntlet.search import importance, proposals
from gauntlet.search.trials import COMPLETE, PRUNED, REFUSED, Trial

RANGES = {
    "attack.steps": {"low": 1, "high": 10, "int": True, "log": False},
    "beta": {"low": 1.0, "high": 12.0, "int": False, "log": True},
    "schedule": {"choice": ["constant", "cosine", None]},
}
START = {"attack.steps": 7, "beta": 6.123456, "schedule": "constant"}


def spec(round=1, **change):
    whole = {"ranges": RANGES, "parallel": 4, "seed": 0, "round": round, "start": START}
    return whole | change


def trial(number, settings, state=COMPLETE, value=None):
    """A trial whose value is the higher, the nearer beta is to 3."""
    near = -abs(math.log(settings["beta"] / 3)) if value is None else value
    reached = None if state == REFUSED else near
    return Trial(number, state, settings, reached, reached, reached, 40, 1, 2, "")


def tried(rounds, **change):
    """Give all trials of so many rounds."""
    found = []
    for number in range(1, rounds + 1):
        for settings in proposals.propose(spec(number, **change), found):
            found.append(trial(len(found) + 1, settings))
    return found


def test_the_first_trial_is_the_start_as_it_is():
    first, *others = proposals.propose(spec(), [])
    assert first == START
    assert all(settings != START for settings in others)
    partly = proposals.propose(spec(start={"beta": 6.0}), [])
    assert partly[0]["beta"] == 6.0 and partly[0].keys() == RANGES.keys()
    assert [settings["beta"] for settings in partly].count(6.0) == 1


def test_settings_are_within_their_ranges_and_can_be_copied():
    for one in tried(6):
        assert type(one.settings["attack.steps"]) is int
        assert 1 <= one.settings["attack.steps"] <= 10 and 1 <= one.settings["beta"] <= 12
        assert one.settings["schedule"] in ("constant", "cosine", None)
        assert one.settings == START or len(repr(one.settings["beta"])) <= 6


def test_the_same_results_give_the_same_settings_and_others_others():
    known = tried(3)
    again = proposals.propose(spec(4), known)
    assert again == proposals.propose(spec(4), tried(3))
    assert again != proposals.propose(spec(4, seed=1), known)
    assert again != proposals.propose(spec(5), known)
    worse = [trial(1, known[0].settings, value=9.0), *known[1:]]
    assert again != proposals.propose(spec(4), worse)


def test_a_smaller_round_has_the_first_settings_of_a_larger_one():
    known = tried(3)
    few, many = (proposals.propose(spec(4, parallel=n), known) for n in (2, 4))
    assert few == many[:2]


def test_later_rounds_look_where_trials_were_good():
    known = tried(8)
    errors = [-one.value for one in known]
    assert sum(errors[-12:]) / 12 < 0.6 * sum(errors[:8]) / 8


def test_refused_and_pruned_trials_are_avoided():
    """Values of beta above 4 are refused or end early: fewer of them are proposed later."""
    known = []
    for number in range(1, 9):
        for settings in proposals.propose(spec(number, start={}), known):
            bad = settings["beta"] > 4
            state = (REFUSED if len(known) % 2 else PRUNED) if bad else COMPLETE
            known.append(trial(len(known) + 1, settings, state, value=0.1 if bad else 0.5))
    bad = [one.settings["beta"] > 4 for one in known]
    assert sum(bad[8:]) / len(bad[8:]) < 0.35


def test_no_settings_are_tried_twice_while_others_are_left():
    ranges = {"beta": {"low": 1, "high": 8, "int": True, "log": False}}
    known = []
    for number in (1, 2):
        asked = spec(number, ranges=ranges, start={"beta": 3})
        for settings in proposals.propose(asked, known):
            known.append(trial(len(known) + 1, settings))
    assert sorted(one.settings["beta"] for one in known) == [1, 2, 3, 4, 5, 6, 7, 8]
    more = proposals.propose(spec(3, ranges=ranges, start={}), known)
    assert len(more) == 4


def test_proposing_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tried(3)


def test_importance_finds_the_setting_that_decides():
    shares = importance.importances(RANGES, tried(6), seed=0)
    assert next(iter(shares)) == "beta" and shares["beta"] > 0.7
    assert sum(shares.values()) == pytest.approx(1, abs=0.001)
    assert shares == importance.importances(RANGES, tried(6), seed=0)


def test_importance_says_nothing_without_enough_complete_trials():
    known = tried(2)
    assert importance.importances(RANGES, known[:5], seed=0) == {}
    same = [trial(one.trial, one.settings, value=0.5) for one in known]
    assert importance.importances(RANGES, same, seed=0) == {}
