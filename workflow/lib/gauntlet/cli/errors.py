"""How a command ends: exit code 2 for a wrong call, 1 for a failure, 130 for Ctrl-C."""

import functools
import sys
from collections.abc import Callable

from gauntlet.core.errors import GauntletError

FAILURE, USAGE, INTERRUPTED = 1, 2, 130


class UsageMistake(GauntletError):
    """A command that cannot be done as it was given: an argument, an option or a configuration."""


def guarded(command: Callable) -> Callable:
    """Let a command end with its exit code; a user's mistake is one sentence on stderr."""

    @functools.wraps(command)
    def run(*arguments, **options):
        import typer

        try:
            code = command(*arguments, **options)
        except KeyboardInterrupt:
            code = INTERRUPTED
        except BrokenPipeError:  # the reader of a pipe has gone
            sys.stderr.close()
            code = FAILURE
        except GauntletError as error:
            sys.stderr.write(f"{error}\n")
            code = USAGE if isinstance(error, UsageMistake) else FAILURE
        raise typer.Exit(code or 0)

    return run
