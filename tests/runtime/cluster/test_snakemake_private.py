"""The private formats of Snakemake, compared with the installed Snakemake."""

import inspect
import re

import pytest
import snakemake
from snakemake.api import Workflow
from snakemake.persistence import RECORD_FORMAT_VERSION
from snakemake.persistence.file import FilePersistence

from gauntlet.core.errors import GauntletError
from gauntlet.runtime.cluster import snakemake_private
from tests.helpers.places import ROOT

FIRST, END = snakemake_private.KNOWN


def test_the_installed_snakemake_is_known():
    """Fails on a new version: then check the formats, and raise KNOWN and the bounds in envs."""
    snakemake_private.require_known(snakemake.__version__)


@pytest.mark.parametrize("version", ["8.30.1", "9.26.9", "9.28", "9.28.0rc1", "10.0.0"])
def test_an_unknown_version_is_refused_in_one_sentence(version):
    with pytest.raises(GauntletError) as caught:
        snakemake_private.require_known(version)
    assert re.fullmatch(
        rf"Snakemake {re.escape(version)} is not known: .*; allowed are versions from {FIRST} to "
        rf"before {END}\.",
        str(caught.value),
    )


def test_all_files_name_the_same_bounds():
    assert f'min_version("{FIRST}")' in (ROOT / "workflow/Snakefile").read_text()
    assert f"snakemake>={FIRST},<{END}" in (ROOT / "envs/requirements.txt").read_text().split()
    packaged = re.findall(r'"snakemake *([<>=][^"]*)"', (ROOT / "pyproject.toml").read_text())
    assert set(packaged) <= {f">={FIRST},<{END}"}


def test_records_have_the_form_and_the_place_of_snakemakes_own(tmp_path):
    assert snakemake_private.RECORD_FORMAT == RECORD_FORMAT_VERSION
    (tmp_path / snakemake_private.RECORDS).mkdir(parents=True)
    bare = type("P", (FilePersistence,), {"__init__": lambda self: None, "_max_len": None})()
    for name in ("results/x.csv", "results/" + "x" * 300 + "/y.csv"):  # cut where it is too long
        own = snakemake_private.record_path(tmp_path, name)
        theirs = FilePersistence._record_path(bare, str(tmp_path / snakemake_private.RECORDS), name)
        assert str(own) == theirs


def test_private_attributes_are_there_and_stand_in_one_file():
    """The documented ones are `workflow.source_path`, `basedir` and the like."""
    rules = {path.name: path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk")}
    private = rules.pop("snakemake_private.smk")
    used = set(re.findall(r"\bworkflow\.(\w+)", re.sub(r'"""(.|\n)*?"""|#.*', "", private)))
    # given to each workflow when it is made
    created = {"_scatter", "config_settings", "configfiles", "dag_settings"}
    source = inspect.getsource(Workflow)
    assert created < used and all(re.search(rf"\b{name}\b *[:=]", source) for name in created)
    assert all(hasattr(Workflow, name) for name in used - created)
    for name, text in rules.items():
        assert not re.search(r"\bworkflow\.[a-z_]+\b(?!/)", re.sub(r"#.*", "", text)), name
