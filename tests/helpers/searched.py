"""A search for the settings of TRADES, and a defense that comes from it, over the quickstart."""

from copy import deepcopy

from tests.helpers.overlays import completed

RANGES = {
    "beta": {"low": 1, "high": 12, "log": True},
    "learning_rate": {"low": 0.0003, "high": 0.01, "log": True},
    "attack.steps": {"low": 1, "high": 10},
    "optimizer": {"choice": ["adam", "sgd"]},
}
SEARCH = {"defense": "trades", "dataset": "digits", "model": "article_cnn", "ranges": RANGES}
TUNED = {"searches": {"find": SEARCH}, "defenses": {"tuned": {"from_search": "find", "epochs": 8}}}


def searching(change: dict | None = None, *overlays: dict) -> dict:
    """Complete the quickstart with a search, of which some keys are replaced."""
    whole = deepcopy(TUNED)
    whole["searches"]["find"] |= change or {}
    return completed(whole, *overlays)
