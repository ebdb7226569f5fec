"""What the documents say of the library: their calls run, their names are there."""

import re

import pytest

import gauntlet
from gauntlet.api.audit_model import AuditReport
from gauntlet.api.evaluation_report import EvaluationReport
from gauntlet.api.reports import AttackReport, CertificateReport
from tests.helpers import plain_models
from tests.helpers.places import ROOT

MAP = (ROOT / "docs" / "how-to" / "from_foolbox_and_torchattacks.md").read_text()
CALLS = re.findall(r"`(gauntlet\.\w+\([^`]*)`", MAP)
# The page shows settings of full strength; here the same settings are small.
SMALL = {r"steps=(40|50|100|200)": "steps=3", r"queries=\d+": "queries=20"}
DEAR = {'attack="spsa"': ", steps=2, samples=4"}
DEAR |= {'attack="hopskipjump"': ", init_evals=4, max_evals=20, tries=5"}
DEAR |= {'attack="spatial"': ", grid=[3, 1, 1]"}


def small(call: str) -> str:
    """Give a call with few steps, and otherwise as it stands on the page."""
    for pattern, change in SMALL.items():
        call = call if " step=" in call else re.sub(pattern, change, call)
    for kind, change in DEAR.items():
        call = call.replace(kind, kind + change)
    return call


@pytest.mark.parametrize("call", CALLS)
def test_the_map_runs(call):
    images, labels = plain_models.test_part(2)
    space = {"gauntlet": gauntlet, "model": plain_models.network(), "eps": 0.1}
    assert eval(small(call), space | {"images": images, "labels": labels}) is not None


def test_the_map_names_every_attack():
    from gauntlet.core.plugins import available

    named = set(re.findall(r'attacks?="(\w+)"', MAP))
    assert len(CALLS) > 30 and set(available("attacks")) - named <= {
        *("adaptive", "corruptions", "gauntlet")
    }


REPORTS = (AttackReport, AuditReport, CertificateReport, EvaluationReport)


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.__name__)
def test_the_reference_lists_what_reports_hold(report):
    text = (ROOT / "docs" / "reference" / "api.md").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith(f"| `{report.__name__}` |")]
    listed = set(re.findall(r"`(\w+)(?:\(eps\))?`", line)) - {report.__name__}
    common = {"title", "rows", "notes", "details", "to_pandas"}
    held = {name for name in (*vars(report), *report.__dataclass_fields__) if name[0] != "_"}
    assert listed == held - common


def test_the_calls_of_the_readme_are_there():
    text = (ROOT / "README.md").read_text()
    calls = re.findall(r"^\| `gauntlet\.(\w+)\(([^`]*)\)` \|", text, re.M)
    assert {name for name, _ in calls} == {*gauntlet.CALLS, *gauntlet.CALLABLE_ROOMS}
    images, labels = plain_models.test_part(2)
    given = {"model": plain_models.network(), "images": images, "labels": labels}
    for name, arguments in calls:
        if name != "load_model":  # whose file is the reader's
            code = f"gauntlet.{name}({arguments})"
            assert eval(code, given | {"gauntlet": gauntlet}) is not None
