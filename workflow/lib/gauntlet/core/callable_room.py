"""A package that can also be called, because it has the name of a function of `gauntlet.api`."""

from importlib import import_module
from types import ModuleType


class CallableRoom(ModuleType):
    """A package `gauntlet.<name>` whose call is a call of `gauntlet.api.<name>`.

    `gauntlet.certify(...)` and `gauntlet.audit(...)` are functions for users, and both names are
    packages as well. The function is named, not imported: a room must not import the API.
    """

    def __call__(self, *args, **settings):
        function = getattr(import_module("gauntlet.api"), self.__name__.rpartition(".")[2])
        return function(*args, **settings)
