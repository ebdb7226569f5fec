"""What finished unwatched is put on Snakemake's record, if it is proven; else it is made again."""

import json
import shutil
from base64 import urlsafe_b64encode

import pytest

from gauntlet.runtime.cluster import snakemake_private, snakemake_records
from tests.helpers import snakes

pytestmark = pytest.mark.workflow

SPLIT = "results/data/digits/split.json"
CHECK = "results/checks/quick/check.json"
AIMS = ("--keep-going", SPLIT, CHECK)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which Snakemake itself ran a few jobs."""
    home = snakes.house(tmp_path_factory.mktemp("adopt") / "home")
    snakes.snakemake(home, *AIMS)
    return home


@pytest.fixture
def home(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "home")
    return tmp_path / "home"


def _record(home, output, kind=snakemake_private.RECORDS):
    return home / kind / urlsafe_b64encode(output.encode()).decode()


def _forget(home):
    """Leave results as a finished orphan leaves them: whole, and without a record."""
    shutil.rmtree(home / snakemake_private.RECORDS)


def _planned(home, study=None):
    return snakes.planned(home, study, *AIMS)


def test_what_snakemake_recorded_itself_is_left_alone(home):
    before = _record(home, SPLIT).read_bytes()
    assert snakemake_records.adopt(home) == snakemake_records.Adopted(0, 0)
    assert _record(home, SPLIT).read_bytes() == before


def test_the_record_is_what_snakemake_would_have_written(home):
    """All that Snakemake compares is the same, and what is null it does not compare."""
    own = json.loads(_record(home, SPLIT).read_text())
    _forget(home)
    assert snakemake_records.adopt(home).doubtful == 0
    ours = json.loads(_record(home, SPLIT).read_text())
    assert set(ours) == set(own)
    for key in ("rule", "input", "params", "record_format_version", "incomplete"):
        assert ours[key] == own[key], key
    assert own["input_checksums"].items() <= ours["input_checksums"].items()


def test_without_it_a_changed_setting_goes_unnoticed_and_with_it_not(home):
    """The reason for all this: results of orphans, and a setting changed before the restart."""
    changed = snakes.merged(snakes.STUDY, {"attacks": {"quick": {"eps": 0.2}}})
    _forget(home)
    assert _planned(home, changed) == {}
    snakemake_records.adopt(home)
    assert _planned(home) == {}
    assert set(_planned(home, changed)) == {"check_attacks"}


def test_an_old_record_does_not_speak_for_new_bytes(home):
    path = _record(home, CHECK)
    record = json.loads(path.read_text())
    record["params"] = ["'another code'", "{'another': 'spec'}"]
    path.write_text(json.dumps(record))
    assert set(_planned(home)) == {"check_attacks"}
    assert snakemake_records.adopt(home) == snakemake_records.Adopted(1, 0)
    assert _planned(home) == {}


def test_what_is_marked_incomplete_and_proven_whole_is_kept(home):
    mark = _record(home, SPLIT, snakemake_private.MARKS)
    mark.write_text('{"external_jobid": "7"}')
    assert set(_planned(home)) == {"split_data"}
    assert snakemake_records.adopt(home) == snakemake_records.Adopted(1, 0)
    assert not mark.exists() and _planned(home) == {}


DAMAGE = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "of another job": lambda path: path.write_text("{}"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_is_not_proven_is_made_again(home, damage):
    _forget(home)
    damage(home / CHECK)
    adopted = snakemake_records.adopt(home)
    assert adopted.doubtful == 2 and adopted.whole > 0  # the file and its provenance
    assert set(_planned(home)) == {"check_attacks"}


def test_a_provenance_in_ruins_proves_nothing(home):
    _forget(home)
    (home / CHECK).with_name("check.provenance.json").write_text("{")
    assert snakemake_records.adopt(home).doubtful == 1
    assert set(_planned(home)) == {"check_attacks"}
