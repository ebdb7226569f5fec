"""A network that a user's own function builds."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module

import torch
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.models._frames import first_line


def factory(
    shape: tuple[int, int, int], classes: int, *, factory: str, arguments: dict
) -> nn.Module:
    """Call `package.module:function` with keyword arguments; it gives the network.

    The module is looked for in the working directory first. Whatever goes wrong in it, and a
    network that does not give one value per class for images of `shape` (C, H, W), is a
    GauntletError.
    """
    with _working_directory():
        function = _found(factory)
        with _reported(factory, "raised"):
            network = function(**arguments)
    if not isinstance(network, nn.Module):
        raise GauntletError(
            f"The factory {factory} gave a {type(network).__name__}; allowed is a torch.nn.Module."
        )
    training = network.training
    with _reported(factory, f"gave a network that cannot take images of {shape}:"), torch.no_grad():
        logits = network.eval()(torch.zeros(2, *shape))
    network.train(training)
    if not isinstance(logits, torch.Tensor) or logits.shape != (2, classes):
        found = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise GauntletError(
            f"The factory {factory} gave a network whose answer to 2 images is {found}; it must be "
            f"[2, {classes}], one value per class."
        )
    return network


def _found(factory: str) -> Callable:
    module, _, name = factory.partition(":")
    with _reported(factory, "cannot be imported:"):
        found = getattr(import_module(module), name, None)
    if not callable(found):
        raise GauntletError(f"The factory {factory} does not exist: {module} has no such function.")
    return found


@contextmanager
def _reported(factory: str, what: str) -> Iterator[None]:
    """Turn any error of the user's code into a GauntletError of one sentence."""
    try:
        yield
    except (Exception, SystemExit) as error:
        place = error.__traceback__
        while place.tb_next:
            place = place.tb_next
        where = f"{os.path.basename(place.tb_frame.f_code.co_filename)}, line {place.tb_lineno}"
        raise GauntletError(
            f"The factory {factory} {what} {type(error).__name__}: {first_line(error)} ({where})."
        ) from error


@contextmanager
def _working_directory() -> Iterator[None]:
    sys.path.insert(0, os.getcwd())
    try:
        yield
    finally:
        sys.path.remove(os.getcwd())
