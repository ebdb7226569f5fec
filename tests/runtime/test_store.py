"""The store of results: what is taken is what was added, and nothing wrong is ever taken."""

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256
from gauntlet.runtime import store as storing
from gauntlet.runtime.store import Store
from tests.helpers.places import LIBRARY

KEY = "ab" * 32


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store", 10_000)


def _made(folder: Path, **texts) -> tuple[dict, dict]:
    folder.mkdir(exist_ok=True)
    places = {name: str(folder / name) for name in texts}
    for name, text in texts.items():
        Path(places[name]).write_text(text)
    digests = {name: sha256(place) for name, place in places.items()}
    return places, {"outputs": digests, "how": {"seconds": 1.5}}


def _places(folder: Path, *names) -> dict:
    folder.mkdir(exist_ok=True)
    return {name: str(folder / name) for name in names}


def _entry(store, key=KEY) -> Path:
    return store.folder / key[:2] / key


def test_what_was_added_is_taken(store, tmp_path):
    places, message = _made(tmp_path / "made", table="1,2", record="{}")
    store.add(KEY, places, message)
    taken = _places(tmp_path / "taken", "table", "record")
    assert store.take(KEY, taken) == message
    assert {name: Path(place).read_text() for name, place in taken.items()} == {
        "table": "1,2",
        "record": "{}",
    }
    assert store.take("cd" * 32, taken) is None
    Path(places["table"]).write_text("changed later")
    assert store.take(KEY, taken) == message, "a result and its entry are two files"


DAMAGES = {
    "another content": lambda entry: (entry / "table").write_text("3,4"),
    "cut off": lambda entry: (entry / "table").write_text("1"),
    "a file missing": lambda entry: (entry / "record").unlink(),
    "no entry.json": lambda entry: (entry / "entry.json").unlink(),
    "entry.json cut off": lambda entry: (entry / "entry.json").write_text('{"outputs": '),
    "entry.json of another kind": lambda entry: (entry / "entry.json").write_text("[1]"),
    "no digests": lambda entry: (entry / "entry.json").write_text('{"how": 1}'),
    "other outputs": lambda entry: (entry / "entry.json").write_text('{"outputs": {"x": "y"}}'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_found_and_computed_anew(damage, store, tmp_path):
    places, message = _made(tmp_path / "made", table="1,2", record="{}")
    store.add(KEY, places, message)
    DAMAGES[damage](_entry(store))
    taken = _places(tmp_path / "taken", "table", "record")
    assert store.take(KEY, taken) is None
    assert os.listdir(tmp_path / "taken") == [] and not _entry(store).exists()
    store.add(KEY, places, message)
    assert store.take(KEY, taken) == message


def test_the_least_used_goes_first(store, tmp_path):
    keys = [f"{number:02d}" * 32 for number in range(4)]
    for age, key in enumerate(keys):
        places, message = _made(tmp_path / "made", table="x" * 4_000)
        Store(store.folder, 10**9).add(key, places, message)
        os.utime(_entry(store, key) / "entry.json", (1000 + age, 1000 + age))
    taken = _places(tmp_path / "taken", "table")
    assert store.take(keys[0], taken)  # used now
    store.evict()
    assert [key for key in keys if _entry(store, key).exists()] == [keys[0], keys[3]]
    assert sum(file.stat().st_size for file in store.folder.rglob("table")) <= store.limit


def test_the_limit_holds_while_entries_are_added(tmp_path):
    store = Store(tmp_path / "store", 10_000)
    for number in range(8):
        places, message = _made(tmp_path / "made", table=str(number) * 3_000)
        store.add(f"{number:02d}" * 32, places, message)
        held = sum(file.stat().st_size for file in store.folder.rglob("*") if file.is_file())
        assert held <= store.limit
    places, message = _made(tmp_path / "made", table="x" * 11_000)
    store.add(KEY, places, message)
    assert not _entry(store).exists(), "larger than the whole store"


def test_halves_of_dead_jobs_are_removed_after_a_day(store, tmp_path, monkeypatch):
    half = store.folder / "ab" / f".{KEY}.host-1"
    half.mkdir(parents=True)
    store.evict()
    assert half.exists()
    os.utime(half, (time.time() - 2 * storing.ABANDONED,) * 2)
    store.evict()
    assert not half.exists()


def test_a_store_that_cannot_be_written_is_told_and_hurts_nobody(tmp_path, caplog):
    (tmp_path / "store").write_text("a file where a folder should be")
    store = Store(tmp_path / "store", 10_000)
    places, message = _made(tmp_path / "made", table="1")
    store.add(KEY, places, message)
    assert store.take(KEY, _places(tmp_path / "taken", "table")) is None
    assert "not stored" in caplog.text


TASK = {
    "stage": "make",
    "inputs": {"data": "a", "more": ["b", "c"]},
    "outputs": {"table": "t", "provenance": "p"},
    "params": {"spec": {"seed": 1}, "code": "x"},
}
INPUTS, VERSIONS = {"a": "1", "b": "2", "c": "3"}, {"torch": "2", "snakemake": "9"}
CHANGES = {
    "stage": (TASK | {"stage": "other"}, INPUTS, VERSIONS),
    "spec": (TASK | {"params": {"spec": {"seed": 2}, "code": "x"}}, INPUTS, VERSIONS),
    "code": (TASK | {"params": {"spec": {"seed": 1}, "code": "y"}}, INPUTS, VERSIONS),
    "content": (TASK, INPUTS | {"c": "4"}, VERSIONS),
    "path": (TASK | {"inputs": {"data": "d", "more": ["b", "c"]}}, INPUTS | {"d": "1"}, VERSIONS),
    "inputs swapped": (TASK | {"inputs": {"data": "b", "more": ["a", "c"]}}, INPUTS, VERSIONS),
    "outputs": (TASK | {"outputs": {"figure": "t", "provenance": "p"}}, INPUTS, VERSIONS),
    "torch": (TASK, INPUTS, VERSIONS | {"torch": "3"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_decides_a_result_changes_its_key(change):
    assert storing.key(TASK, INPUTS, VERSIONS) != storing.key(*CHANGES[change])


def test_what_decides_nothing_does_not():
    moved = TASK | {"outputs": {"table": "elsewhere", "provenance": "p"}}
    same = storing.key(TASK, INPUTS, VERSIONS)
    assert storing.key(moved, INPUTS, VERSIONS | {"snakemake": "10"}) == same


def test_the_environment_says_where_and_how_much(monkeypatch, tmp_path):
    monkeypatch.delenv(storing.PLACE, raising=False)
    assert storing.from_environment().folder == Path(storing.USUAL_PLACE)
    monkeypatch.setenv(storing.PLACE, str(tmp_path))
    monkeypatch.setenv(storing.LIMIT, "0.5")
    assert storing.from_environment() == Store(tmp_path, 500_000_000)
    monkeypatch.setenv(storing.LIMIT, "much")
    with pytest.raises(GauntletError, match="GAUNTLET_STORE_GB is 'much'; allowed is"):
        storing.from_environment()
    monkeypatch.setenv(storing.PLACE, "off")
    assert storing.from_environment() is None


def test_many_processes_share_it(tmp_path):
    """Eight processes add, take, damage and evict the same few keys: none fails or takes wrong."""
    code = """
        import random, sys
        from pathlib import Path
        from gauntlet.core.files import sha256
        from gauntlet.runtime.store import Store
        me, folder = sys.argv[1], Path(sys.argv[2])
        mine, store, chance = folder / me, Store(folder / "store", 20_000), random.Random(me)
        mine.mkdir()
        place, hits = mine / "out", 0
        for _ in range(150):
            number = chance.randrange(12)
            key, text = f"{number:02d}" * 32, str(number) * 2_000
            if store.take(key, {"out": str(place)}):
                assert place.read_text() == text
                hits += 1
            else:
                place.write_text(text)
                store.add(key, {"out": str(place)}, {"outputs": {"out": sha256(place)}})
            if chance.random() < 0.1:
                for file in store.folder.glob(f"{key[:2]}/{key}/out"):
                    try:
                        file.write_text("broken")
                    except OSError:
                        pass
            if chance.random() < 0.1:
                store.evict()
        assert hits > 20, hits
    """
    environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    jobs = [
        subprocess.Popen([*command, f"p{n}", str(tmp_path)], env=environment, stderr=-1, text=True)
        for n in range(8)
    ]
    failures = [
        message for job in jobs if (message := job.communicate(timeout=120)[1]) and job.returncode
    ]
    assert failures == []


def test_an_entry_can_be_read_by_people(store, tmp_path):
    places, message = _made(tmp_path / "made", table="1,2")
    store.add(KEY, places, message)
    assert json.loads((_entry(store) / "entry.json").read_text()) == message
