"""A handful of kills; `make fault-test` does many more."""

import pytest

from tests.faults.kill_jobs import calm_study, disturb

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    return calm_study(tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize("store", [True, False], ids=["store", "no store"])
def test_a_study_that_is_killed_again_and_again_ends_the_same(store, calm, tmp_path):
    assert len(disturb(calm, tmp_path, kills=3, seed=5 + store, store=store)) == 3
