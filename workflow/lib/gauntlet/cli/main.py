"""The commands of `gauntlet`, and their options."""

from typing import Annotated

import typer

from gauntlet.cli.attack_command import attack
from gauntlet.cli.errors import guarded
from gauntlet.cli.explain_command import explain
from gauntlet.cli.list_command import list_plugins
from gauntlet.cli.new_command import new
from gauntlet.cli.run_command import estimate, run, show, verify

HELP = """Attack, certify and audit image classifiers by one reproducible workflow.

Each command starts Snakemake or a Python module, and says which command does the same."""

COMMANDS = {
    "new": new,
    "run": run,
    "attack": attack,
    "show": show,
    "estimate": estimate,
    "verify": verify,
    "list": list_plugins,
    "explain": explain,
}


def _version(asked: bool) -> None:
    if asked:
        from gauntlet.core.locations import version

        typer.echo(f"gauntlet {version()}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Hold the options of `gauntlet` itself."""


def application() -> typer.Typer:
    """Give the command line with all its commands."""
    app = typer.Typer(
        name="gauntlet",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=HELP)(_options)
    for name, command in COMMANDS.items():
        app.command(name)(guarded(command))
    return app


def main() -> None:
    """Run the command line; the entry point of the package."""
    application()()
