"""What all tests share: how they run, what they must leave as found, finished studies, one Slurm.

`workflow` and `slow` hold what they say: a test that starts Snakemake without the first mark
fails, and a summary names the tests that took over 5 seconds of processor time without one of
the two. Every worker uses one thread: small tensors gain nothing from more.
"""

import os

import hypothesis
import pytest
import torch

from tests.helpers import slurms, snakes
from tests.helpers.found import State, Watch

SECONDS = "processor seconds"
SLOW = 5.0
WATCH = Watch()

hypothesis.settings.register_profile(
    "explore", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile(
    "steady", hypothesis.settings.get_profile("explore"), derandomize=True, database=None
)


def pytest_configure(config):
    """Take the same examples every time in CI; look for new ones elsewhere. Time no network."""
    os.environ["GAUNTLET_PRECISION_CACHE"] = "off"  # of the many folders that tests plan in
    os.environ["GAUNTLET_PRECISION_FOLDER"] = ""  # what stands in the checkout decides no test
    hypothesis.settings.load_profile("steady" if os.environ.get("CI") else "explore")
    torch.set_num_threads(1)
    WATCH.install()


def pytest_collection_modifyitems(items):
    """Run what takes long first, so that no worker waits for another in the end."""
    items.sort(key=lambda item: -bool({"workflow", "slow"} & {m.name for m in item.iter_markers()}))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    WATCH.starts.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    before = sum(os.times()[:4])
    marked = item.get_closest_marker("workflow") or item.get_closest_marker("slow")
    item.user_properties.append((SECONDS, lambda: 0 if marked else sum(os.times()[:4]) - before))
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Turn the clock of the test into what it says, once the test is over."""
    report = yield
    report.user_properties = [(name, v() if callable(v) else v) for name, v in item.user_properties]
    return report


def pytest_terminal_summary(terminalreporter):
    """Name tests that took long and are not marked."""
    found = {}
    for report in terminalreporter.getreports("passed"):
        seconds = dict(report.user_properties).get(SECONDS, 0)
        if seconds > SLOW:
            found[report.nodeid] = seconds
    if found:
        terminalreporter.section("over 5 s of processor time, but marked neither slow nor workflow")
    for name, seconds in sorted(found.items(), key=lambda each: -each[1]):
        terminalreporter.line(f"{seconds:6.1f} s {name}")


@pytest.fixture(autouse=True)
def _as_found(request):
    """Hold a test to what it must leave as it found it, and to its marks."""
    before = State.now()
    yield
    changes = before.changes()
    before.restore()
    if changes:
        pytest.fail(f"the test leaves behind: {'; '.join(changes)}")
    if WATCH.starts and not request.node.get_closest_marker("workflow"):
        pytest.fail(f"it starts Snakemake without pytest.mark.workflow: {WATCH.starts[0]}")


@pytest.fixture
def given_back():
    """Put this process back after a test that changes it on purpose."""
    before = State.now()
    yield
    before.restore()


@pytest.fixture(autouse=True, scope="session")
def _finished_studies(tmp_path_factory):
    """Let all workers of a run share the studies that tests start from."""
    folder = tmp_path_factory.getbasetemp()
    snakes.SHARED = folder.parent if os.environ.get("PYTEST_XDIST_WORKER") else folder
    yield
    snakes.SHARED = None


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """A real Slurm of two nodes, for all tests that need one."""
    if reason := slurms.missing():
        pytest.skip(reason)
    cluster = slurms.Slurm(tmp_path_factory.mktemp("slurm"))
    try:
        try:
            cluster.start()
        except (AssertionError, OSError, TimeoutError) as error:
            pytest.skip(f"Slurm does not start here: {error}")
        yield cluster
    finally:
        cluster.stop()
