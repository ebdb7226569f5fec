"""A folder's manifest: written once, and again only after a change that planning can see."""

import os
from pathlib import Path

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.core.folder_listing import list_folder, manifest_text
from gauntlet.runtime.folder_manifest import manifest_of

OLD = 1_000_000_000_000_000_000  # ns


@pytest.fixture(autouse=True)
def photos(tmp_path, monkeypatch) -> Path:
    """Make a folder of four files that were changed long ago."""
    monkeypatch.chdir(tmp_path)
    manifest_of.cache_clear()
    for name in ("a/0.png", "a/1.png", "b/deep/2.png", "b/3.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    for path in [*tmp_path.rglob("*"), tmp_path / "photos"]:
        os.utime(path, ns=(OLD, OLD))
    return tmp_path / "photos"


def written() -> Path:
    """Plan anew: ask for the manifest as a new process does."""
    manifest_of.cache_clear()
    return Path(manifest_of("photos"))


def replaced(photos: Path) -> None:
    (photos / "a/0.png").write_text("other")
    os.utime(photos / "a/0.png", ns=(OLD, OLD))
    os.utime(photos / "a", ns=(OLD, OLD))


CHANGES = {
    "a time": lambda photos: os.utime(photos / "b/deep/2.png", ns=(OLD + 1, OLD + 1)),
    "a size, not the time": replaced,
    "one file less": lambda photos: (photos / "b/3.png").unlink(),
    "one file more": lambda photos: (photos / "b/4.png").touch(),
    "another name": lambda photos: (photos / "b/3.png").rename(photos / "a/3.png"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_makes_the_manifest_newer(photos, change):
    first = written()
    content = first.read_bytes()
    assert first.stat().st_mtime_ns == OLD
    CHANGES[change](photos)
    again = written()
    assert again == first
    assert again.read_bytes() != content
    assert again.stat().st_mtime_ns > OLD


def test_without_a_change_the_manifest_is_not_touched(photos):
    os.utime(written(), ns=(OLD + 5, OLD + 5))
    (photos / ".hidden").touch()
    assert written().stat().st_mtime_ns == OLD + 5
    assert len(written().read_text().splitlines()) == 1 + 4


def test_a_job_takes_the_manifest_that_was_planned_with(photos):
    planned = written()
    (photos / "a/0.png").unlink()
    manifest_of.cache_clear()
    assert Path(manifest_of("photos", refresh=False)).read_bytes() == planned.read_bytes()


def test_links_that_lead_nowhere_or_in_a_circle_are_listed_apart(photos):
    (photos / "a/gone.png").symlink_to("nowhere")
    (photos / "a/up").symlink_to(photos)
    (photos / "c").symlink_to(photos / "b")
    listing = list_folder(photos)
    assert listing.broken == ["a/gone.png", "a/up"]
    assert [file.name for file in listing.files][-2:] == ["c/3.png", "c/deep/2.png"]


def test_names_that_are_no_text_are_kept(photos):
    try:
        Path(os.fsdecode(os.fsencode(photos) + b"/a/\xff.png")).touch()
    except OSError:
        pytest.skip("this file system has texts for names only")
    assert b"a/\xff.png\n" in manifest_text(list_folder(photos))


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(GauntletError, match="gone cannot be read"):
        list_folder(tmp_path / "gone")
