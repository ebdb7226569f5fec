"""Formulas in a plug-in's constants: arithmetic over settings, evaluated without the plug-in.

A formula is a Python expression of numbers, names, conditions, lists and comprehensions. It knows
a few functions and neither attributes nor imports. Standard library only.
"""

import ast
import math
from collections.abc import Mapping
from functools import lru_cache
from types import CodeType
from typing import Any

from gauntlet.core.errors import GauntletError

FUNCTIONS = {
    **{"ceil": math.ceil, "sqrt": math.sqrt, "log2": math.log2, "prod": math.prod},
    **{"min": min, "max": max, "sum": sum, "len": len, "int": int, "round": round},
    **{"range": range, "zip": zip},
}
ALLOWED = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call),
    *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context),
    *(ast.Name, ast.Constant, ast.List, ast.Tuple, ast.Starred, ast.Subscript),
    *(ast.ListComp, ast.GeneratorExp, ast.comprehension),
)
MOST = 2000  # characters of a formula


def value_of(formula: str, names: Mapping[str, Any]) -> Any:
    """Evaluate a formula; GauntletError if it is no formula or its names do not allow it."""
    code = compiled(formula)
    try:
        return eval(code, {"__builtins__": {}, **FUNCTIONS, **names})
    except (ArithmeticError, LookupError, NameError, TypeError, ValueError) as error:
        raise GauntletError(f"The formula '{formula}' has no value ({error}).") from error


@lru_cache(maxsize=512)
def compiled(formula: str) -> CodeType:
    """Check and compile a formula; GauntletError if it is none."""
    try:
        tree = ast.parse(formula.strip(), mode="eval")
    except (SyntaxError, ValueError, TypeError, AttributeError) as error:
        raise GauntletError(f"{formula!r:.80} is no formula ({error}).") from error
    for node in ast.walk(tree):
        unknown = isinstance(node, ast.Call) and not (
            isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS and not node.keywords
        )
        if unknown or not isinstance(node, ALLOWED) or len(formula) > MOST:
            raise GauntletError(
                f"{formula!r:.80} is no formula; allowed are arithmetic, names, conditions, lists "
                f"and the functions {', '.join(sorted(FUNCTIONS))}."
            )
    return compile(tree, "<formula>", "eval")
