"""The exceptions for everything that a user can cause and correct."""


class GauntletError(ValueError):
    """A mistake in a setting or a file, in one sentence: key or file, value, what is allowed."""


class Uncertifiable(GauntletError):
    """A model that a kind of certificate cannot read; it can be attacked all the same."""


class BrokenProof(GauntletError):
    """An example breaks what a certificate proves: an error in Gauntlet, which fails the run."""
