"""Random networks: no certificate may be broken, by whatever is tried (`make fuzz` tries more)."""

import pytest

from tests.certify.fuzz import examine

SIZE = 20  # networks in a test


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("group", range(8))
def test_no_proof_of_a_random_network_is_false(group):
    outcomes = {seed: examine(seed, 2000) for seed in range(group * SIZE, (group + 1) * SIZE)}
    assert {seed: found.faults for seed, found in outcomes.items() if found.faults} == {}
    assert sum(found.proofs for found in outcomes.values()) >= SIZE // 4
