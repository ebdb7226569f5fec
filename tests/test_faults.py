"""A handful of kills; `make fault-test` does many more."""

import pytest

from faults import disturb

pytestmark = pytest.mark.workflow


@pytest.mark.parametrize("store", [True, False], ids=["store", "no store"])
def test_a_study_that_is_killed_again_and_again_ends_with_the_same_bytes(store, tmp_path):
    assert len(disturb(tmp_path, kills=3, seed=5 + store, store=store)) == 3
