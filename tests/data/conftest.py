"""What tests of data sources share."""

from pathlib import Path

import pytest


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """Work in an empty folder without network."""
    monkeypatch.chdir(tmp_path)
    for name in ("mnist", "fashion_mnist", "cifar10"):
        monkeypatch.setattr(f"gauntlet.data.{name}.OFFICIAL", ())
    monkeypatch.setenv("PATH", "")
    return tmp_path
