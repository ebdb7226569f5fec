"""Commands make a configuration's own plug-ins known to the process: forgotten after each test."""

import pytest

from gauntlet.core import plugins


@pytest.fixture(autouse=True)
def _own_plugins(monkeypatch):
    monkeypatch.setenv(plugins.ENVIRONMENT, "[]")
