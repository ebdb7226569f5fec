"""An audit is made at the norm and eps of its own study's attacks."""

import pytest

from gauntlet.study.audit_gate import audit_spec
from gauntlet.study.audit_threat import audit_threat, threat_warnings
from tests.helpers.overlays import completed

ATTACKS = {
    "far": {"kind": "pgd", "norm": "linf", "eps": 0.3, "steps": 5},
    "round": {"kind": "pgd", "norm": "l2", "eps": "128/255", "steps": 5},
    "line": {"kind": "pgd", "norm": "l2", "eps": [0.5, 1.0], "steps": 5},
    "nearest": {"kind": "fmn", "norm": "l2", "eps": [0.25, 0.5]},
}
CASES = [
    (["far"], ("linf", 0.3)),
    (["pgd40"], ("linf", 0.15)),
    (["noise", "far"], ("linf", 0.3)),
    (["pgd40", "far"], ("linf", 0.3)),
    (["round"], ("l2", 128 / 255)),
    (["round", "pgd40", "fgsm"], ("linf", 0.15)),
    (["round", "pgd40"], ("l2", 128 / 255)),
    (["curve", "round"], ("l2", 128 / 255)),
    (["line"], ("l2", 1.0)),
    (["noise"], ("linf", 0.15)),  # nothing to take it from but the training's validation attack
    (["nearest"], ("l2", 0.5)),
]


def studied(attacks, **audit):
    lists = {"datasets": ["digits"], "models": ["article_cnn"], "defenses": ["baseline"]}
    own = lists | {"attacks": attacks, "seeds": [0], "audit": True}
    other = lists | {"attacks": ["pgd40"], "seeds": [0], "audit": True}
    return completed(
        {
            **{"run": ["mine", "other"], "attacks": ATTACKS, "audit": audit},
            "studies": {"mine": own, "other": other},
        }
    )


@pytest.mark.parametrize(("attacks", "threat"), CASES)
def test_the_threat_is_that_of_the_studys_attacks(attacks, threat):
    config = studied(attacks)
    assert audit_threat(config, "mine", "baseline") == pytest.approx(threat)
    assert audit_threat(config, "other", "baseline") == ("linf", 0.15)
    made = audit_spec(config, "mine", "digits", "article_cnn", "baseline", 0)
    assert (made["norm"], made["eps"]) == pytest.approx(threat)
    assert list(threat_warnings(config, ["mine", "other"])) == []


def test_an_explicit_threat_wins_and_is_told_where_it_differs():
    config = studied(["far", "line"], norm="linf", eps=0.15)
    assert audit_threat(config, "mine", "baseline") == ("linf", 0.15)
    (warning,) = threat_warnings(config, ["mine", "other"])
    assert warning == (
        "audit.norm and audit.eps are linf 0.15, but the study 'mine' attacks at linf 0.3, l2 0.5, "
        "l2 1; leave them out to audit it there."
    )
    assert list(threat_warnings(studied(["curve"], norm="linf", eps="1/10"), ["mine"])) == []
