"""The choice among trials, from their files: the winner, the record and the table of all."""

import csv
import json

import pytest

from choose_trial import choose_trial
from gauntlet.core.errors import GauntletError
from gauntlet.search.trials import COMPLETE, REFUSED
from propose_trials import propose_trials

RANGES = {"beta": {"low": 1, "high": 20, "int": False, "log": False}}
SPEC = {"search": "find", "defense": "trades", "dataset": "digits", "model": "cnn", "seed": 0}
SPEC |= {"goal": {"robust": 1.0, "clean": 0.0}, "ranges": RANGES}
ROUND = {"ranges": RANGES, "parallel": 3, "seed": 0, "start": {"beta": 2.0}, "pruning": True}


def write(folder, number, value, state=COMPLETE):
    reached = None if state == REFUSED else value
    own = {"trial": number, "seed": 100, "state": state, "settings": {"beta": number + 0.5}}
    own |= {"value": reached, "robust": reached, "clean": reached, "curve": [value, value]}
    own |= {"n": 40, "start": number == 1, "reason": "not finite." if state == REFUSED else ""}
    path = folder / f"{number}.json"
    path.write_text(json.dumps(own))
    return str(path)


def choose(folder, results):
    places = [folder / name for name in ("best.json", "trials.json", "trials.csv")]
    choose_trial(results, *map(str, places), spec=SPEC)
    return places


def test_the_best_trial_is_chosen_and_all_are_listed(tmp_path):
    values = (0.4, 0.7, 0.5, 0.6, 0.3, 0.2, 0.1)
    results = [write(tmp_path, number, value) for number, value in enumerate(values, 1)]
    results.append(write(tmp_path, 8, 0.9, REFUSED))
    best, rows, table = choose(tmp_path, results)
    chosen, record = json.loads(best.read_text()), json.loads(rows.read_text())
    assert (chosen["trial"], chosen["settings"], chosen["value"]) == (2, {"beta": 2.5}, 0.7)
    assert record["best"] == 2 and record["importance"] == {"beta": 1.0}
    assert [one["state"] for one in record["trials"]] == [COMPLETE] * 7 + [REFUSED]
    with table.open() as stream:
        listed = list(csv.DictReader(stream))
    assert [row["best"] for row in listed] == ["0", "1", *("0",) * 6]
    assert (listed[-1]["value"], listed[-1]["reason"]) == ("", "not finite.")
    # more trials that are no better leave the winner's file as it is
    before = best.read_bytes()
    choose(tmp_path, [*results, write(tmp_path, 9, 0.65)])
    assert best.read_bytes() == before


def test_a_search_of_which_nothing_is_left_says_why(tmp_path):
    results = [write(tmp_path, number, 0.5, REFUSED) for number in (1, 2)]
    with pytest.raises(GauntletError, match=r"None of the 2 trials .* \(not finite.\); allowed"):
        choose(tmp_path, results)
    assert not (tmp_path / "best.json").exists()


def test_a_round_has_its_numbers_its_settings_and_its_thresholds(tmp_path):
    proposal = tmp_path / "trials.json"
    propose_trials([], str(proposal), spec=ROUND | {"round": 1})
    first = json.loads(proposal.read_text())
    assert first["thresholds"] == {}
    assert [(one["trial"], one["start"]) for one in first["trials"]] == [
        (1, True),
        (2, False),
        (3, False),
    ]
    results = [write(tmp_path, number, number / 10) for number in range(1, 7)]
    propose_trials(results, str(proposal), spec=ROUND | {"round": 3})
    third = json.loads(proposal.read_text())
    assert [one["trial"] for one in third["trials"]] == [7, 8, 9]
    assert third["thresholds"] == {"100": [pytest.approx(0.35)] * 2}
    propose_trials(results, str(proposal), spec=ROUND | {"round": 3, "pruning": False})
    assert json.loads(proposal.read_text()) == third | {"thresholds": {}}
