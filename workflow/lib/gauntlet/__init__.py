"""Gauntlet: adversarial robustness of classifiers, tensors in, tensors out.

`gauntlet.attack`, `evaluate`, `certify`, `audit` and `load_model` are all that most users need.
They are loaded at first use: `import gauntlet` alone imports neither PyTorch nor NumPy.
"""

from importlib import import_module

CALLS = ("attack", "evaluate", "load_model")  # functions of gauntlet.api
CALLABLE_ROOMS = ("audit", "certify")  # packages that can be called like those functions


def __getattr__(name: str):
    if name in CALLS:
        return getattr(import_module("gauntlet.api"), name)
    if name in CALLABLE_ROOMS:
        return import_module(f"gauntlet.{name}")
    if name == "__version__":
        return import_module("gauntlet.core.locations").version()
    raise AttributeError(f"module 'gauntlet' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *CALLS, *CALLABLE_ROOMS, "__version__"})
