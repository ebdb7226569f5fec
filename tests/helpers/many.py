"""Studies of many jobs: overlays whose jobs are counted, with trainings of unequal length."""

from collections.abc import Mapping
from typing import Any

DEFENSES, ATTACKS = 40, 23


def many_jobs(seeds: int, **more) -> dict[str, Any]:
    """Give an overlay with about 1,000 jobs for each seed; `more` is laid over it."""
    kinds = {
        f"d{n}": {"kind": "adversarial", "attack": "pgd7", "epochs": n + 1} for n in range(DEFENSES)
    }
    attacks: Mapping[str, Any] = {
        f"a{n}": {"kind": "pgd", "norm": "linf", "eps": 0.15, "steps": 10 + n}
        for n in range(ATTACKS)
    }
    study = {"datasets": ["digits"], "models": ["article_cnn"], "seeds": list(range(seeds))}
    study |= {"defenses": list(kinds), "attacks": list(attacks)}
    whole = {"run": ["big"], "defenses": kinds, "attacks": attacks, "studies": {"big": study}}
    return whole | more
