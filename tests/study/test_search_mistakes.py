"""What no search may say, refused before any job in one sentence: key, value, what is allowed."""

import pytest

from gauntlet.core.errors import GauntletError
from tests.helpers.overlays import completed
from tests.helpers.searched import SEARCH, TUNED, searching


def ranges(**tried):
    return {"ranges": {key.replace("__", "."): value for key, value in tried.items()}}


# a change of the search, and what the sentence must contain
WRONG = {
    "unknown setting": (
        ranges(betta={"low": 1, "high": 2}),
        ["searches.find.ranges.betta is no setting to search", "nearest is 'beta'"],
    ),
    "setting of another kind": (ranges(kappa={"low": 0.1, "high": 0.2}), ["kappa is no setting"]),
    "what judges trials": (
        ranges(validation_attack={"choice": ["pgd7", "pgd10"]}),
        ["validation_attack is no setting"],
    ),
    "what names other jobs": (ranges(init={"choice": ["none", "noise"]}), ["init is no setting"]),
    "what is measured before": (
        ranges(precision={"choice": ["auto", "float32"]}),
        ["precision is no setting to search"],
    ),
    "low above high": (ranges(beta={"low": 3, "high": 2}), ["beta.low is 3 and high is 2"]),
    "low is high": (ranges(beta={"low": 3, "high": 3}), ["a low below high"]),
    "logarithm of 0": (ranges(beta={"low": 0, "high": 2, "log": True}), ["low is 0 with log"]),
    "below the schema": (ranges(beta={"low": -1, "high": 2}), ["beta.low is -1", "0 or more"]),
    "above the schema": (
        ranges(label_smoothing={"low": 0, "high": 1}),
        ["label_smoothing.high is 1", "from 0 to below 1"],
    ),
    "no such choice": (
        ranges(optimizer={"choice": ["adam", "sdg"]}),
        ["optimizer.choice[1] is 'sdg'", "nearest is 'sgd'"],
    ),
    "numbers for words": (ranges(optimizer={"low": 1, "high": 2}), ["optimizer.low is 1", "adam"]),
    "half a step": (ranges(attack__steps={"low": 1.5, "high": 3}), ["attack.steps.low is 1.5"]),
    "a whole number of thirds": (
        ranges(beta={"low": 1.5, "high": 3, "int": True}),
        ["beta.low is 1.5 with int"],
    ),
    "restarts in training": (
        ranges(attack__restarts={"low": 1, "high": 3}),
        ["attack.restarts.high is 'pgd7 with restarts 3'", "restarts: 1"],
    ),
    "eps above 1": (
        ranges(attack__eps={"low": 0.1, "high": 3}),
        ["leads to attack.eps 3", "0 to 1"],
    ),
    "an attack of another kind": (
        ranges(attack={"choice": ["pgd7", "fgsm_rs"]}),
        ["attack.choice[1] is 'fgsm_rs'", "kind pgd"],
    ),
    "no such attack": (ranges(attack={"choice": ["pgd7", "pgd9"]}), ["is 'pgd9'", "is 'pgd7'"]),
    "only together": (
        ranges(ramp={"low": 0.1, "high": 0.9}, ramp_start={"low": 0.1, "high": 0.5}),
        ["leads to ramp 0.9, ramp_start 0.5", "a sum of 1"],
    ),
    "two averages": (ranges(ema={"low": 0.1, "high": 0.9}) | {"training": {"swa": 0.5}}, ["swa"]),
    "no values": (ranges(beta={}), ["beta has no values", "low with high, or choice"]),
    "one end": (ranges(beta={"low": 1}), ["beta has low;"]),
    "both forms": (
        ranges(beta={"low": 1, "high": 2, "choice": [1, 2]}),
        ["beta has low and high and choice"],
    ),
    "logarithm of a choice": (ranges(beta={"choice": [1, 2], "log": True}), ["log is true beside"]),
    "one choice": (ranges(beta={"choice": [1]}), ["beta.choice is [1]", "two or more"]),
    "no ranges": ({"ranges": {}}, ["ranges is empty", "one or more"]),
    "not a number": (ranges(beta={"low": float("nan"), "high": 2}), ["beta.low is nan"]),
    "no trials": ({"trials": 0}, ["searches.find.trials is 0", "1 or more"]),
    "empty rounds": ({"parallel": 0}, ["find.parallel is 0", "1 or more"]),
    "a number of seeds": ({"seeds": 3}, ["find.seeds is 3", "write [3]"]),
    "no goal": ({"goal": {"robust": 0}}, ["find.goal has no weight above 0"]),
    "a goal below 0": ({"goal": {"clean": -1}}, ["goal.clean is -1", "0 or more"]),
    "no such defense": ({"defense": "trade"}, ["find.defense is 'trade'", "nearest is 'trades'"]),
    "no such data": ({"dataset": "digit"}, ["find.dataset is 'digit'", "is 'digits'"]),
    "no such model": ({"model": "cnn"}, ["find.model is 'cnn'"]),
    "another kind in trials": ({"training": {"kind": "mart"}}, ["training has the name 'kind'"]),
    "a setting of the defense": ({"training": {"beta": 3}}, ["training.beta is no known key"]),
    "both fixed and searched": (
        {"training": {"learning_rate": 0.1}},
        ["training.learning_rate is 0.1, but ranges looks for this setting"],
    ),
    "its own result": ({"defense": "tuned"}, ["find.defense is 'tuned'", "from a search itself"]),
    "a misspelt key": ({"trails": 8}, ["find.trails is no known key", "nearest is 'trials'"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_search_is_refused_in_a_sentence(case):
    change, words = WRONG[case]
    with pytest.raises(GauntletError) as refused:
        searching(change)
    lines = str(refused.value).splitlines()
    assert any(all(word in line for word in words) for line in lines), refused.value
    assert all("allowed" in line and line.endswith(".") for line in lines)
    assert len(lines) <= 2


# a defense from a search, and what the sentence must contain
MISPLACED = {
    "no such search": ({"from_search": "fond"}, ["from_search is 'fond'", "nearest is 'find'"]),
    "no name": ({"from_search": ["find"]}, ["from_search is ['find']", "one of searches"]),
    "a searched setting by hand": (
        {"from_search": "find", "beta": 3},
        ["d.beta is 3, but searches.find.ranges looks for this setting"],
    ),
    "the attack by hand": ({"from_search": "find", "attack": "pgd10"}, ["d.attack is 'pgd10'"]),
    "another kind": ({"from_search": "find", "kind": "mart"}, ["d.kind is 'mart'", "kind trades"]),
    "a misspelt setting": ({"from_search": "find", "epoch": 3}, ["d.epoch is no known key"]),
}


@pytest.mark.parametrize("case", MISPLACED)
def test_a_wrong_defense_from_a_search_is_refused(case):
    defense, words = MISPLACED[case]
    with pytest.raises(GauntletError) as refused:
        completed({"searches": {"find": SEARCH}, "defenses": {"d": defense}})
    (line,) = str(refused.value).splitlines()
    assert all(word in line for word in words), line


def test_from_search_without_any_search_is_refused():
    with pytest.raises(GauntletError, match=r"defenses.tuned.from_search is 'find'"):
        completed({"defenses": TUNED["defenses"]})


def test_an_external_model_is_not_searched_for():
    given = {
        "arch": "article_cnn",
        "weights": "results/runs/digits/article_cnn/trades/seed0/best.pt",
    }
    with pytest.raises(GauntletError, match=r"find.model is 'given', which comes with its weights"):
        searching({"model": "given"}, {"models": {"given": given}})


def test_a_search_cannot_need_what_it_finds():
    """The trials begin with the weights of the defense that they are to find."""
    init = {"defenses": {"trades": {"init": "tuned"}, "tuned": {"init": "none"}}}
    with pytest.raises(GauntletError, match="needs itself"):
        searching({}, init)


@pytest.mark.parametrize("searches", [3, [1], {"find": 3}, {"find": None}, {"find": {"ranges": 3}}])
def test_a_search_of_any_other_form_is_refused(searches):
    with pytest.raises(GauntletError, match="searches|from_search"):
        completed({"searches": searches, "defenses": TUNED["defenses"]})
