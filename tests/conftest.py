"""What all tests share: one thread (small tensors gain nothing from more), one Slurm if any."""

import pytest
import torch

from tests.helpers import slurms


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


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
