"""What a plug-in's file says of itself, read from its syntax tree: the file is not run.

Facts are the constants at the top of the file (literals only), and the keyword-only arguments of
the function that has the file's name. Standard library only: planning a study reads facts.

Constants that are read, all optional unless a message says otherwise:

- attacks: NORMS; THREAT and SIZE (of an attack without a norm: the name of its threat model, and
  the setting that says how large it is); GRADIENT_FREE; FOR_TRAINING (a defense may use it);
  DEFAULT_STEP (formula of an absent `step`); CHECK_SLACK (how much further than the exact distance
  it may need to go, as a share of it); LOW_PRECISION (True only if it was measured to lose nothing
  with gradients in a lower precision than float32); FORWARDS and BACKWARDS (formulas: passes of an
  image that is never misclassified), DRAW_FORWARDS (formula: passes of one example with
  `early_stop=False`).
- defenses: NEEDS_RAMP; SINGLE_STEP (its examples are of one step, which can collapse); ONE_PROCESS
  (several devices are refused); SOFT_LABELS (labels may be probabilities); FORWARDS, BACKWARDS and
  UPDATES (formulas: passes of an image without those of the attack inside, gradients by the image,
  and how many passes reach the weights).
- data: SHAPE, CLASS_COUNT, IMAGES (a number, or one each for train and test), LAYOUT.
- models: LAYERS (formula: weights of an output value, channels and places of each layer);
  ASKED_WITHOUT_GRADIENTS (with `gradients: false` a file's own engine answers); USUAL_NAMES (for
  parts of the names of its weights, what public code calls them).
- preprocess: GRADIENT, RANDOM, FITTED (see `gauntlet.preprocess`); MACS (formula:
  multiply-adds of an image), FITTING (formula: passes of a training image while it is fitted).
- certificates: NORMS, DETERMINISTIC, FORWARDS.
- audit checks: ORDER (place among the checks).
- all families: SETTINGS (JSON schema of arguments, where their annotations do not say enough).
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from gauntlet.core.errors import GauntletError
from gauntlet.core.plugins import find

REQUIRED = object()  # the default of an argument that has none
COMPUTED = object()  # a default that is no literal


@dataclass(frozen=True)
class Argument:
    """A keyword-only argument: its annotation as text ("" without one), and its default."""

    annotation: str
    default: Any = REQUIRED


@dataclass(frozen=True)
class PluginFacts:
    """The constants of a plug-in's file, and the keyword-only arguments of its function."""

    path: Path
    constants: Mapping[str, Any]
    arguments: Mapping[str, Argument]

    def get(self, name: str, default: Any = None) -> Any:
        """Give a constant, or the default where the file has none of that name."""
        return self.constants.get(name, default)

    @property
    def minimum_norm(self) -> bool:
        """Tell whether an attack looks for the nearest example: one run serves every eps."""
        eps = self.arguments.get("eps")
        return "norm" in self.arguments and (eps is None or eps.default is None)

    @property
    def low_precision(self) -> bool:
        """Tell whether an attack may take its gradients in a lower precision than float32.

        Never without gradients, nor on the way to the nearest example: such examples lie on the
        boundary, whose two sides a lower precision confuses.
        """
        declared = self.get("LOW_PRECISION") is True
        return declared and not (self.get("GRADIENT_FREE") or self.minimum_norm)

    @property
    def names(self) -> dict[str, Any]:
        """Give what a formula may use: the constants, and the defaults of the arguments."""
        found = {name: argument.default for name, argument in self.arguments.items()}
        defaults = {k: v for k, v in found.items() if v is not REQUIRED and v is not COMPUTED}
        return {**self.constants, **defaults}


def facts(family: str, name: str) -> PluginFacts:
    """Read the facts of a plug-in; GauntletError if there is none, or its file cannot be read."""
    path = find(family, name)
    if path is None:
        raise GauntletError(f"There is no plug-in '{name}' of the family {family}.")
    return read_facts(path)


def read_facts(path: Path) -> PluginFacts:
    """Read the facts of a plug-in's file; GauntletError if it cannot be read or has no function."""
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise GauntletError(f"The plug-in {path} cannot be read ({error.strerror}).") from error
    except (SyntaxError, ValueError) as error:
        if isinstance(error, GauntletError):
            raise
        raise GauntletError(f"The plug-in {path} is no Python file ({error}).") from error


@lru_cache(maxsize=512)
def _read(path: Path, modified: int) -> PluginFacts:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    constants = dict(pair for node in body for pair in _constants(node))
    functions = [n for n in body if isinstance(n, ast.FunctionDef) and n.name == path.stem]
    if not functions:
        raise GauntletError(
            f"The plug-in {path} has no function '{path.stem}'; allowed is a file with a function "
            "of the file's name."
        )
    return PluginFacts(path, constants, dict(_arguments(functions[-1], constants)))


def _constants(node: ast.stmt) -> Iterator[tuple[str, Any]]:
    """Give the names that a statement at the top of a file binds to literals."""
    value = getattr(node, "value", None)
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    if not isinstance(node, ast.Assign | ast.AnnAssign) or value is None:
        return
    for target in targets:
        if isinstance(target, ast.Name) and (found := _literal(value)) is not COMPUTED:
            yield target.id, found
        elif isinstance(target, ast.Tuple) and isinstance(found := _literal(value), tuple):
            names = [part.id for part in target.elts if isinstance(part, ast.Name)]
            yield from zip(names, found, strict=False)


def _arguments(function: ast.FunctionDef, constants: Mapping) -> Iterator[tuple[str, Argument]]:
    given = function.args
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        annotation = ast.unparse(argument.annotation) if argument.annotation else ""
        value = REQUIRED if default is None else _literal(default)
        if isinstance(default, ast.Name):
            value = constants.get(default.id, COMPUTED)
        yield argument.arg, Argument(annotation, value)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError):
        return COMPUTED
