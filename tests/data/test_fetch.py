"""Getting files from places that fail: every failure ends in the content or in one message."""

import bz2
import gzip
import os
import threading

import pytest

from gauntlet.core.download import http
from gauntlet.core.download.mirrors import File, Places, fetch, mirrors_from_environment
from gauntlet.core.errors import GauntletError
from tests.helpers.fetching import CONTENT, FILE, LIMIT, ZIPPED, get, left_in
from tests.helpers.servers import serving


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(http, "DELAYS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(http, "TIMEOUT", 0.4)
    monkeypatch.setenv("no_proxy", "*")


OVERCOME = {  # behaviors of the first requests: how many requests it takes
    "well": 1,
    "503": 2,
    "429 500": 3,
    "half": 2,
    "half half half": 4,
    "half whole": 2,
    "half_of_whole half_of_whole well": 3,
    "half other_piece": 2,
    "half wrong": 3,
    "half 416": 3,
    "stall": 2,
    "hang_up": 2,
    "reset": 2,
    "not_http": 2,
    "nonsense_length": 1,
}


@pytest.mark.parametrize("plan", OVERCOME)
def test_a_failure_that_passes_is_overcome(tmp_path, plan):
    with serving({"/x.gz": ZIPPED}, *plan.split()) as server:
        assert get(tmp_path, server.url) == CONTENT
        assert len(server.asked) == OVERCOME[plan]
    assert left_in(tmp_path) == {"x.gz"}


def test_attempts_that_bring_much_are_no_failures(tmp_path, monkeypatch):
    monkeypatch.setattr(http, "GAIN", 100)
    with serving({"/x.gz": ZIPPED}, *["half"] * 7) as server:
        assert get(tmp_path, server.url) == CONTENT
        assert len(server.asked) == 8


FATAL = {  # behaviors of all requests: words of the message, requests for the one name
    "503 503 503 503": ("HTTP 503, 4 times", 4),
    "hang_up hang_up hang_up hang_up": ("4 times", 4),
    "404": ("HTTP 404", 1),
    "403": ("HTTP 403", 1),
    "wrong": ("has sha256", 1),
    "page": ("has sha256", 1),
    "huge_length": ("at most 1048576", 1),
    "endless": ("it has more than 1048576", 1),
    "loop": ("infinite loop", 5),
    "to_file": ("HTTP 302", 1),
}


@pytest.mark.parametrize("plan", FATAL)
def test_a_failure_that_stays_is_told_and_leaves_nothing(tmp_path, plan):
    words, requests = FATAL[plan]
    with serving({"/x.gz": ZIPPED}, *plan.split()) as server:
        with pytest.raises(GauntletError) as caught:
            get(tmp_path, server.url)
        assert len([path for path, _ in server.asked if path == "/x.gz"]) == requests
    assert words in str(caught.value)
    assert left_in(tmp_path) == set()


def test_a_host_that_does_not_answer_is_not_asked_for_other_names(tmp_path):
    with serving({"/x.gz": ZIPPED, "/x": CONTENT}, *["503"] * 20) as server:
        with pytest.raises(GauntletError, match="HTTP 503"):
            get(tmp_path, server.url)
        assert len(server.asked) == 4


def test_a_server_that_only_drips_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(http, "DELAYS", (0.0,))
    words = "slower than 1000 bytes/s, 2 times"
    with (
        serving({"/x.gz": ZIPPED}, "drip", "drip") as server,
        pytest.raises(GauntletError, match=words),
    ):
        get(tmp_path, server.url)


def test_only_the_missing_bytes_are_asked_for(tmp_path):
    with serving({"/x.gz": ZIPPED}, "half") as server:
        get(tmp_path, server.url)
    assert [wanted for _, wanted in server.asked] == [None, f"bytes={len(ZIPPED) // 2}-"]


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(tmp_path):
    with serving({"/x.gz": ZIPPED}, "half", *["503"] * 3) as server:
        with pytest.raises(GauntletError):
            get(tmp_path, server.url)
        server.asked.clear()
        assert get(tmp_path, server.url) == CONTENT
        assert server.asked == [("/x.gz", f"bytes={len(ZIPPED) // 2}-")]


def test_what_is_in_the_cache_is_not_downloaded_but_verified(tmp_path):
    with serving({"/x.gz": ZIPPED}) as server:
        get(tmp_path, server.url)
        get(tmp_path, server.url)
        assert len(server.asked) == 1
        (tmp_path / "x.gz").write_bytes(ZIPPED[:-100])
        assert get(tmp_path, server.url) == CONTENT
        assert len(server.asked) == 2


def test_jobs_that_share_a_cache_download_once(tmp_path):
    with serving({"/x.gz": ZIPPED}, "half") as server:
        jobs = [threading.Thread(target=get, args=(tmp_path, server.url)) for _ in range(4)]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
        assert len(server.asked) == 2
    assert left_in(tmp_path) == {"x.gz"}


@pytest.mark.parametrize("path", ["x.gz", "x", "sub/x.gz", "sub/x"])
@pytest.mark.parametrize("container", [bytes, gzip.compress, bz2.compress])
def test_folders_and_urls_may_hold_a_file_in_several_ways(tmp_path, path, container):
    mirror = tmp_path / "mirror"
    (mirror / path).parent.mkdir(parents=True)
    (mirror / path).write_bytes(container(CONTENT))
    assert get(tmp_path / "cache", mirror) == CONTENT
    assert left_in(tmp_path / "cache") == set()
    with serving({f"/data/{path}": container(CONTENT)}) as server:
        assert get(tmp_path / "cache", f"{server.url}/data/") == CONTENT


def test_mirrors_come_in_order_and_before_the_official_place(tmp_path):
    with serving({"/a/x": CONTENT, "/b/x": CONTENT, "/c/x": CONTENT}, "wrong") as server:
        places = [f"{server.url}/{name}" for name in "abc"]
        get(tmp_path, "/nowhere", *places[:2], official=places[2:])
        found = [path for path, _ in server.asked if path in server.files]
    assert found == ["/a/x", "/b/x"]


def test_the_message_lists_what_was_tried_and_what_to_put_where(tmp_path):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "x").write_bytes(b"not it")
    other = File(("y.gz",), LIMIT, FILE.read)
    with serving({}) as server:
        places = Places([str(mirror), f"{server.url}/own"], (f"{server.url}/official",), ("",))
        with pytest.raises(GauntletError) as caught:
            fetch([FILE, other], places, tmp_path / "cache")
    lines = str(caught.value).splitlines()
    assert lines[1] == f"- {tmp_path / 'cache'}: no x.gz or x"
    assert lines[2].startswith(f"- {mirror}: no x.gz or x; the content of x has sha256")
    assert [line.split("/", 3)[3] for line in lines[3:5]] == [
        "own: HTTP 404 Not Found",
        "official: HTTP 404 Not Found",
    ]
    assert f"Put x.gz, y.gz into {tmp_path / 'cache'}, or" in lines[5]


UNREADABLE = {
    "cut off": (ZIPPED[:-9], "damaged"),
    "another flag": (ZIPPED[:10] + bytes(50) + ZIPPED[60:], "damaged"),
    "a bomb": (gzip.compress(bytes(LIMIT * 50)), "unpacks to more than"),
    "too large as it is": (bytes(LIMIT + 1), "more than 1048576 bytes"),
    "empty": (b"", "has sha256"),
    "other content": (gzip.compress(CONTENT + b"!"), "has sha256"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_damaged_file_is_passed_over(tmp_path, case):
    bad, words = UNREADABLE[case]
    for name, content in (("bad", bad), ("good", ZIPPED)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.gz").write_bytes(content)
    assert get(tmp_path / "cache", tmp_path / "bad", tmp_path / "good") == CONTENT
    with pytest.raises(GauntletError, match=words):
        get(tmp_path / "cache", tmp_path / "bad")


def test_a_pipe_in_a_mirror_does_not_stop_the_job(tmp_path):
    os.mkfifo(tmp_path / "x.gz")
    with pytest.raises(GauntletError, match=r"no x\.gz or x"):
        get(tmp_path / "cache", tmp_path)


MIRRORS = [
    ({}, []),
    ({"GAUNTLET_MIRROR": "/a b"}, ["/a b"]),
    ({"GAUNTLET_MIRRORS": '["http://x/y", "z"]', "GAUNTLET_MIRROR": "z"}, ["http://x/y", "z"]),
    ({"GAUNTLET_MIRRORS": "", "GAUNTLET_MIRROR": ""}, []),
    ({"GAUNTLET_MIRRORS": "http://x"}, None),
    ({"GAUNTLET_MIRRORS": '{"a": 1}'}, None),
    ({"GAUNTLET_MIRRORS": "[1]"}, None),
    ({"GAUNTLET_MIRROR": "ftp://x"}, None),
]


@pytest.mark.parametrize(("environ", "mirrors"), MIRRORS)
def test_mirrors_of_the_environment(environ, mirrors):
    if mirrors is None:
        with pytest.raises(GauntletError, match="URL"):
            mirrors_from_environment(environ)
    else:
        assert mirrors_from_environment(environ) == mirrors


def test_progress_is_logged_with_rate_and_estimate(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("gauntlet.core.download.meter.LOG_EVERY", 0.0)
    monkeypatch.setattr(http, "CHUNK", 30_000)
    caplog.set_level("INFO", "gauntlet")
    with serving({"/x.gz": ZIPPED}) as server:
        get(tmp_path, server.url)
    assert "x.gz: 0.0 of 0.0 MB, " in caplog.text
    assert "MB/s, about 0 s left" in caplog.text
