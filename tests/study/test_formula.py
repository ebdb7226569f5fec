"""Formulas of plug-ins: what they may say, and what they give."""

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.study.formula import value_of

FORMULAS = {
    "restarts * (steps + 1)": 22,
    "7 // 2 + 7 % 2 + 2**3 - -1": 13,
    "min(steps, 3) + max(1, 2) + ceil(0.5) + sqrt(4) + log2(8)": 11,
    "sum(t for t in range(1, steps + 1))": 55,
    "sizes['l2'] if norm == 'l2' else 0": 1.5,
    "prod(n // 2 for n in grid)": 6,
}
NAMES = {"restarts": 2, "steps": 10, "norm": "l2", "sizes": {"l2": 1.5}, "grid": [4, 6]}


@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas_have_values(formula):
    assert value_of(formula, NAMES) == FORMULAS[formula]


@pytest.mark.parametrize(
    "formula",
    [
        *("().__class__", "open('x')", "steps.real", "[x := 1]", "lambda: 1", "import os"),
        *("min(a, key=b)", "unknown", "1 / 0", "{}", "", "1" * 3000),
    ],
)
def test_what_is_no_formula_is_refused(formula):
    with pytest.raises(GauntletError):
        value_of(formula, NAMES)
