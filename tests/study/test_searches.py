"""Searches in a configuration: what is refused, what jobs are told, defenses that come from one."""

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.study import search_specs, searches, specs, specs_tables
from gauntlet.study.cost.resources import Sizes
from gauntlet.study.found_settings import with_settings
from gauntlet.study.job_needs import JobName
from gauntlet.study.job_table import JOBS
from gauntlet.study.plan import Plan
from tests.helpers.overlays import completed
from tests.helpers.searched import RANGES, searching

FOUND = {"beta": 3.5, "learning_rate": 0.002, "attack.steps": 4, "optimizer": "sgd"}


def test_a_range_of_whole_numbers_needs_no_word():
    ranges = searching()["searches"]["find"]["ranges"]
    assert [key for key, tried in ranges.items() if tried["int"]] == ["attack.steps"]


def test_a_defense_from_a_search_is_the_searchs_with_more_laid_over():
    made = searching()["defenses"]["tuned"]
    assert (made["kind"], made["attack"], made["epochs"]) == ("trades", "pgd7", 8)
    assert searching()["defenses"]["trades"].get("epochs") is None
    spec = specs.train_spec(searching(), "digits", "article_cnn", "tuned", 0)
    assert spec["search"]["name"] == "find" and spec["training"]["epochs"] == 8
    assert "from_search" not in spec["defense"]
    plain = specs.train_spec(searching(), "digits", "article_cnn", "trades", 0)
    assert "search" not in plain


def test_found_settings_stand_in_the_training_the_defense_and_its_attack():
    spec = specs.train_spec(searching(), "digits", "article_cnn", "tuned", 0)
    made = with_settings(spec, FOUND)
    assert made["defense"]["beta"] == 3.5 and made["training"]["optimizer"] == "sgd"
    assert made["training"]["learning_rate"] == 0.002
    attack = made["defense"]["attack"]
    assert attack["steps"] == 4
    assert attack["step"] == 2.5 * 0.15 / 4  # by the rule of an attack without a step of its own
    assert spec["defense"]["attack"]["steps"] == 7  # what was given is as it was


def test_found_settings_are_what_the_same_settings_by_hand_are():
    spec = specs.train_spec(searching(), "digits", "article_cnn", "tuned", 1)
    attacks = {"mine": {"kind": "pgd", "norm": "linf", "eps": 0.15, "steps": 4}}
    own = {"kind": "trades", "attack": "mine", "beta": 3.5, "learning_rate": 0.002}
    own |= {"optimizer": "sgd", "epochs": 8}
    config = completed({"attacks": attacks, "defenses": {"mine": own}})
    by_hand = specs.train_spec(config, "digits", "article_cnn", "mine", 1)
    made = with_settings(spec, FOUND)
    del made["search"]
    assert specs.ordered(made) == by_hand


def test_an_attack_and_lengths_can_be_chosen():
    choice = {"attack": {"choice": ["pgd7", "pgd10"]}, "attack.eps": {"choice": ["8/255", 0.1]}}
    config = searching({"ranges": choice})
    spec = specs.train_spec(config, "digits", "article_cnn", "tuned", 0)
    made = with_settings(spec, {"attack": "pgd10", "attack.eps": "8/255"})["defense"]["attack"]
    assert (made["steps"], made["eps"]) == (10, 8 / 255)
    sigmas = {"sigma": {"choice": ["8/255", 0.1]}}
    other = searching({"defense": "noise", "ranges": sigmas})
    spec = specs.train_spec(other, "digits", "article_cnn", "tuned", 0)
    assert with_settings(spec, {"sigma": "8/255"})["defense"]["sigma"] == 8 / 255


def test_the_start_is_tried_as_far_as_the_ranges_hold_it():
    start = searches.start_settings(searching(), "find")
    assert start == {"beta": 6.0, "learning_rate": 0.001, "attack.steps": 7, "optimizer": "adam"}
    ranges = {"beta": {"low": 7, "high": 9}, "attack.step": {"low": 0.03, "high": 0.1}}
    ranges |= {"optimizer": {"choice": ["adam", "sgd"]}}
    start = searches.start_settings(searching({"ranges": ranges}), "find")
    assert start == {"optimizer": "adam"}


def _rounds(config):
    return [search_specs.round_spec(config, "find", number) for number in (1, 2, 3)]


def _trials(config):
    return [search_specs.trial_spec(config, "find", number, 100) for number in (1, 5, 9)]


def test_more_trials_change_no_round_and_no_trial():
    few, many = searching({"trials": 6}), searching({"trials": 11})
    assert _rounds(few) == _rounds(many) and _trials(few) == _trials(many)
    assert search_specs.choice_spec(few, "find") == search_specs.choice_spec(many, "find")
    assert few["defenses"] == many["defenses"]


def test_a_changed_range_changes_the_rounds_and_not_the_trials_own_spec():
    before, after = searching(), searching({"ranges": RANGES | {"beta": {"low": 1, "high": 9}}})
    assert all(one != two for one, two in zip(_rounds(before), _rounds(after), strict=True))
    assert _trials(before) == _trials(after)  # their settings come from the round's file


def test_rounds_need_the_trials_before_and_trials_their_round():
    config = searching({"trials": 5, "parallel": 2, "seeds": [100, 101]})

    def needs(rule, need, **names):
        return [
            job.names for job in JOBS[rule].needs[need].find(config, {"search": "find"} | names)
        ]

    assert needs("propose_trials", "results", round="1") == []
    before = needs("propose_trials", "results", round="3")
    assert {(job["trial"], job["seed"]) for job in before} == {
        (str(trial), seed) for trial in (1, 2, 3, 4) for seed in ("100", "101")
    }
    (round,) = needs("run_trial", "proposal", trial="5", seed="100")
    assert round["round"] == "3"
    assert len(needs("choose_trial", "results")) == 10
    run = {"dataset": "digits", "model": "article_cnn", "defense": "tuned", "seed": "0"}
    assert list(JOBS["train_model"].needs["search"].find(config, run)) == [
        JobName("choose_trial", {"search": "find"})
    ]


def test_a_plan_has_the_searches_that_its_studies_need_and_no_others():
    config = searching({"trials": 5, "parallel": 2})
    assert not any(job.rule == "run_trial" for job in Plan(config).jobs.values())
    study = {"studies": {"quickstart": {"defenses": ["baseline", "tuned"]}}}
    rules = [job.rule for job in Plan(searching({"trials": 5, "parallel": 2}, study)).jobs.values()]
    counts = {rule: rules.count(rule) for rule in ("propose_trials", "run_trial", "choose_trial")}
    assert counts == {"propose_trials": 3, "run_trial": 5, "choose_trial": 1}


def test_a_search_that_nothing_is_wrong_with_may_stand_beside_any_study():
    made = searching({"goal": {"robust": 0.5, "clean": 0.5}, "pruning": False})
    assert made["searches"]["find"]["goal"] == {"robust": 0.5, "clean": 0.5}
    with pytest.raises(GauntletError):
        searching({"goal": {"robust": 0}})


def test_trials_are_sized_as_the_longest_training_of_their_ranges():
    config = searching({"trials": 12})
    sizes = Sizes(config)
    first, last = ({"search": "find", "trial": n, "seed": "100"} for n in ("1", "12"))
    run = {"dataset": "digits", "model": "article_cnn", "defense": "trades", "seed": "0"}
    trial, training = sizes.of("run_trial", first), sizes.of("train_model", run)
    assert training.seconds < trial.seconds < 2 * training.seconds  # 10 steps inside, not 7
    assert trial.memory == training.memory
    # an earlier round is the head of a longer chain
    assert sizes.priority("run_trial", first) > 2 * sizes.priority("run_trial", last)
    assert sizes.minutes("choose_trial", {"search": "find"}) == 10


def test_passes_of_settings_that_are_not_known_yet_are_not_told():
    study = {"studies": {"quickstart": {"defenses": ["baseline", "trades", "tuned"]}}}
    spec = specs_tables.publish_spec(searching({}, study), "quickstart")
    assert [row[2] for row in spec["passes"]] == ["baseline", "trades"]
