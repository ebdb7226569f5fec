"""The gate: what is required against what was measured, and what is asked wrongly."""

import json

import pytest

from gate import gate
from gauntlet.core.errors import GauntletError
from gauntlet.evaluation.gate import judge
from gauntlet.reporting.gate_page import shortfalls
from gauntlet.study import audit_gate
from gauntlet.study.schema import complete
from pass_gate import pass_gate
from tests.study.test_config import SCHEMA, laid_over

RUN = {"dataset": "digits", "model": "article_cnn", "defense": "pgd_at", "seed": 0}
THREATS = [["linf", 0.15]]


def row(attack, eps, robust, **other):
    known = RUN | {"attack": attack, "source": "self", "access": "white-box", "norm": "linf"}
    return known | {"eps": eps, "clean_accuracy": 0.96, "robust_accuracy": robust} | other


WARNED = {"verdict": "warn", "failed": [], "warned": ["calibration"]}


ROWS = [
    row("fgsm", 0.15, 0.72, audit=WARNED),
    row("pgd40", 0.15, 0.64),
    row("refused", 0.15, None),
    row("curve", 0.3, 0.0),
    row("pgd40", 0.15, 0.1, access="transfer"),
    row("worst_case", 0.15, 0.62),
    row("worst_case", 0.15, 0.01, seed=1),
]


def demand(**asked):
    return RUN | {"name": "release", "threats": THREATS} | asked


@pytest.mark.parametrize(
    ("asked", "met", "said"),
    [
        ({"clean": 0.96}, True, ""),
        ({"clean": 0.97}, False, "seed 0 has clean accuracy 96.0 %; required is 97.0 %."),
        ({"robust": 0.62}, True, ""),
        ({"robust": 0.63}, False, "robust accuracy 62.0 % (worst_case, linf 0.15); required"),
        ({"robust": 0.01, "threats": [["linf", 0.3]]}, False, "0.0 % (curve, linf 0.3)"),
        ({"robust": 0.5, "threats": [["l2", 0.15]]}, False, "robust accuracy not measured;"),
        ({"certified": 0.1}, False, "certified accuracy not measured;"),
        ({"audit": "no_fail"}, True, ""),
        ({"audit": "no_warn"}, False, "has audit warn (calibration); required is no_warn."),
    ],
)
def test_a_demand_is_met_or_named(asked, met, said):
    (verdict,) = judge([demand(**asked)], ROWS)
    assert verdict.met is met
    short = shortfalls([verdict])
    assert len(short) == (not met) and all(said in text for text in short)
    assert all(text.startswith("requirements.release: digits/article_cnn/pgd_at") for text in short)


def test_a_certified_accuracy_is_read_where_there_is_one():
    rows = [row("pgd40", 0.15, 0.64, certified_accuracy=0.3)]
    assert judge([demand(certified=0.3)], rows)[0].met
    assert not judge([demand(certified=0.31)], rows)[0].met


def test_an_audit_that_was_not_made_accepts_nothing():
    (verdict,) = judge([demand(audit="no_fail")], [row("pgd40", 0.15, 0.6)])
    assert not verdict.met and "audit not measured" in shortfalls([verdict])[0]


def test_a_closed_gate_keeps_its_files_and_fails_last(tmp_path):
    table, record, page = (tmp_path / name for name in ("rows.json", "gate.json", "gate.md"))
    table.write_text(json.dumps({"rows": ROWS}))
    for least, opens in ((0.6, True), (0.7, False)):
        spec = {"demands": [demand(robust=least, clean=0.9)], "study": "mine"}
        gate(str(table), str(record), str(page), spec=spec)
        assert json.loads(record.read_text())["passed"] is opens
        assert ("open" if opens else "closed, 1 of 2") in page.read_text()
        passed = tmp_path / f"passed{least}"
        if opens:
            pass_gate(str(record), str(passed), spec={"study": "mine"})
        else:
            with pytest.raises(GauntletError, match=r"'mine' is closed.*\n.*62\.0 %"):
                pass_gate(str(record), str(passed), spec={"study": "mine"})
        assert passed.exists() is opens


def asked(**requirement):
    return {"requirements": {"r": {"clean": 0.5} | requirement}}


def audited(**settings):
    return {"audit": settings}


BAD = [
    ("nothing asked", {"requirements": {"r": {}}}, ["requirements.r asks for nothing"]),
    ("unknown key", asked(robst=0.5), ["requirements.r.robst", "nearest is 'robust'"]),
    ("a percentage", asked(robust=60), ["requirements.r.robust is 60", "from 0 to 1"]),
    ("text", asked(robust="0.6"), ["requirements.r.robust is '0.6'", "write 0.6"]),
    ("fits nobody", asked(defense="pdg_*"), ["r fits no model", "defense 'pdg_*'"]),
    ("bad pattern", asked(model="[a-z]"), ["requirements.r.model is '[a-z]'", "a pattern of"]),
    ("unknown attack", asked(attack="pgd41"), ["requirements.r.attack is 'pgd41'", "'pgd40'"]),
    ("unlisted attack", asked(attack="pgd7"), ["r.attack is 'pgd7'", "attack of a study"]),
    ("norm alone", asked(norm="linf"), ["requirements.r.norm is 'linf' without eps"]),
    ("eps alone", asked(eps="8/255"), ["requirements.r.eps is '8/255' without norm"]),
    ("attack and eps", asked(attack="pgd40", norm="linf", eps=0.1), ["beside norm and eps"]),
    ("audit is off", asked(audit="no_fail"), ["r.audit is 'no_fail'", "studies.quickstart.audit"]),
    ("another word", asked(audit="pass"), ["r.audit is 'pass'", "one of no_fail, no_warn"]),
    ("list", {"requirements": [{"clean": 1}]}, ["requirements is", "a mapping of settings"]),
    ("bad name", {"requirements": {"My": {"clean": 1}}}, ["requirements has the name 'My'"]),
    ("norm without eps", audited(norm="l2"), ["audit.norm is 'l2' and audit.eps is null"]),
    ("eps without norm", audited(eps=0.1), ["audit.eps is 0.1 and audit.norm is null"]),
    ("eps of the whole box", audited(norm="linf", eps=2), ["audit.eps is 2", "0 to 1"]),
    ("eps 0", audited(norm="l2", eps=0), ["audit.eps is 0", "above 0"]),
    ("norm l1", audited(norm="l1", eps=1), ["audit.norm is 'l1'", "one of l2, linf, or null"]),
    ("no images", audited(images=0), ["audit.images is 0", "of 1 or more"]),
    ("unknown setting", audited(step=1), ["audit.step is no known key", "'steps'"]),
    (
        "unknown check",
        {"studies": {"quickstart": {"audit": ["gradient"]}}},
        ["studies.quickstart.audit[0] is 'gradient'", "nearest is 'gradients'"],
    ),
    (
        "no checks",
        {"studies": {"quickstart": {"audit": []}}},
        ["studies.quickstart.audit is empty", "true, false, or a list of checks"],
    ),
    (
        "one check as text",
        {"studies": {"quickstart": {"audit": "gradients"}}},
        ["studies.quickstart.audit is 'gradients'", "true, false, or a list of checks"],
    ),
    ("an attack named rerun", {"attacks": {"rerun": {"kind": "pgd", "eps": 0.1}}}, ["'rerun'"]),
    (
        "an attack that averages over nothing",
        {"attacks": {"a": {"kind": "adaptive", "eps": 0.1, "samples": 0}}},
        ["attacks.a.samples is 0"],
    ),
]


@pytest.mark.parametrize(("overlay", "fragments"), [c[1:] for c in BAD], ids=[c[0] for c in BAD])
def test_bad_settings_end_in_one_sentence(overlay, fragments):
    with pytest.raises(GauntletError) as caught:
        complete(laid_over(overlay), SCHEMA)
    message = [text for text in str(caught.value).splitlines() if all(f in text for f in fragments)]
    assert message and all(text.endswith(".") for text in message), str(caught.value)


def settings(**change):
    config = {"studies": {"quickstart": {"audit": True}}} | change
    return complete(laid_over(config), SCHEMA)


def test_the_threat_that_is_meant():
    whole = settings(requirements={"r": {"defense": "pgd_*", "robust": 0.5}})
    (first, *rest) = audit_gate.gate_spec(whole, "quickstart")["demands"]
    assert first["threats"] == [["linf", 0.15]] and first["defense"] == "pgd_at"
    assert [one["seed"] for one in (first, *rest)] == [0, 1, 2]
    whole = settings(requirements={"r": {"robust": 0.5, "attack": "curve"}})
    (first, *_) = audit_gate.gate_spec(whole, "quickstart")["demands"]
    assert [eps for _, eps in first["threats"]] == [0.025, 0.05, 0.1, 0.15, 0.2, 0.3]
    whole = settings(requirements={"r": {"robust": 0.5, "norm": "l2", "eps": "128/255"}})
    (first, *_) = audit_gate.gate_spec(whole, "quickstart")["demands"]
    assert first["threats"] == [["l2", 128 / 255]]


def test_the_audits_threat_is_the_validation_attacks_unless_given():
    run = ("quickstart", "digits", "article_cnn", "fgsm_at", 0)
    made = audit_gate.audit_spec(settings(), *run)
    assert (made["norm"], made["eps"], made["single_step"]) == ("linf", 0.15, True)
    made = audit_gate.audit_spec(settings(audit={"norm": "l2", "eps": "1/2"}), *run)
    assert (made["norm"], made["eps"]) == ("l2", 0.5)
    assert made["checks"] == audit_gate.known_checks()
    assert audit_gate.rerun_spec(settings(), *run)["threats"] == [["linf", 0.15]]


def test_checks_stand_in_the_schema_and_on_the_disk():
    from pathlib import Path

    from gauntlet import audit
    from gauntlet.study.schema import load_schema

    files = {path.stem for path in Path(audit.__file__).parent.glob("[!_]*.py")}
    study = load_schema(str(SCHEMA))["$defs"]["study"]["properties"]["audit"]
    assert files == set(audit_gate.known_checks())
    assert study["items"]["enum"] == audit_gate.known_checks()
