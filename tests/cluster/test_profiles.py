"""Profiles name the workflow's rules as they are."""

import re

import pytest
import yte

from tests.helpers.places import ROOT


def _rules() -> dict[str, str]:
    """Give the text of each rule by name."""
    text = "\n".join(path.read_text() for path in sorted(ROOT.glob("workflow/rules/*.smk")))
    parts = re.split(r"^ *rule (\w+):$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _slurm(monkeypatch, **chosen) -> dict:
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    with (ROOT / "profiles/slurm/profile.yaml").open(encoding="utf-8") as stream:
        return yte.process_yaml(stream, require_use_yte=True)


@pytest.mark.parametrize("name", ["GAUNTLET_GPU_PARTITION", "GAUNTLET_GPU_MODEL"])
def test_each_rule_that_asks_for_a_gpu_gets_the_gpus_partition_and_model(name, monkeypatch):
    wanted = {rule for rule, text in _rules().items() if re.search(r"^ +gpu=", text, re.MULTILINE)}
    assert {"train_model", "audit_model", "certify_robustness"} < wanted
    assert _slurm(monkeypatch, **{name: "a100"})["set-resources"].keys() == wanted


def test_grouped_rules_exist(monkeypatch):
    assert _slurm(monkeypatch, GAUNTLET_TOGETHER="4")["groups"].keys() <= _rules().keys()
