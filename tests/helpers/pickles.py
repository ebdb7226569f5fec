"""A pickle that wants to run something when it is read."""


class Evil:
    """A pickle that wants to run something."""

    def __reduce__(self):
        return (print, ("code was run",))
