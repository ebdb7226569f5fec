"""Files in archives and packages: found among others, refused if they are not as expected."""

import gzip
import io
import os
import tarfile
from functools import partial
from pathlib import Path

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.data._containers import verified_members
from gauntlet.data._debian import files_from_package
from tests.helpers.fetching import CONTENT, DIGEST, LIMIT, ZIPPED, get, left_in


def tar_of(*members: tuple[str, bytes | None], compress=gzip.compress) -> bytes:
    """Make an archive; a member without content is a link to the first."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if content is None:
                entry.type, entry.linkname = tarfile.SYMTYPE, members[0][0]
            entry.size = len(content or b"")
            archive.addfile(entry, io.BytesIO(content or b""))
    return compress(stream.getvalue())


ARCHIVES = {
    "another path": (tar_of(("../x", CONTENT), ("/x", CONTENT)), "has no member x"),
    "a link": (tar_of(("y", CONTENT), ("x", None)), "no plain file"),
    "other content": (tar_of(("x", b"!")), "has sha256"),
    "cut off": (tar_of(("x", CONTENT))[:20_000], "damaged"),
    "cut off inside": (tar_of(("x", CONTENT), compress=bytes)[:20_000], "damaged"),
    "a bomb before it": (tar_of(("y", bytes(LIMIT)), ("x", CONTENT)), "unpacks to more than"),
    "no archive": (CONTENT, "damaged"),
    "empty": (b"", "damaged"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_a_bad_archive_is_refused(tmp_path, case):
    content, words = ARCHIVES[case]
    path = tmp_path / "in" / "a.tar"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(GauntletError, match=words):
        verified_members(path, {"x": DIGEST}, LIMIT)
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "a.tar"]


def test_members_are_found_among_others(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(tar_of(("../x", b"?"), ("./x", CONTENT), ("x", b"later")))
    assert verified_members(path, {"x": DIGEST}, LIMIT) == {"x": CONTENT}


def fake_tools(folder: Path, monkeypatch, apt_get: str) -> None:
    """Put an apt-get and a dpkg-deb of ours before the system's."""
    (folder / "files.tar").write_bytes(tar_of(("./usr/x.gz", ZIPPED), compress=bytes))
    for name, body in {"apt-get": apt_get, "dpkg-deb": f"cat {folder}/files.tar"}.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


PACKAGE = partial(files_from_package, "some-package", {"usr/x.gz": "x.gz"})


def test_the_package_is_the_last_resort_and_kept(tmp_path, monkeypatch):
    fake_tools(tmp_path, monkeypatch, 'touch "$2.deb"')
    assert get(tmp_path / "cache", "/nowhere", package=PACKAGE) == CONTENT
    assert left_in(tmp_path / "cache") == {"x.gz"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("echo E: Unable to locate >&2; exit 100", "some-package: E: Unable to locate"),
        ("true", "apt-get left no package"),
    ],
)
def test_what_the_package_manager_says_is_passed_on(tmp_path, monkeypatch, body, words):
    fake_tools(tmp_path, monkeypatch, body)
    with pytest.raises(GauntletError, match=words):
        get(tmp_path / "cache", package=PACKAGE)


def test_another_system_has_no_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GauntletError, match="this system has no apt-get"):
        get(tmp_path / "cache", package=PACKAGE)
