"""`gauntlet run`, `show`, `estimate` and `verify`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from gauntlet.cli.configuration import Configuration, read_configuration
from gauntlet.cli.errors import UsageMistake
from gauntlet.cli.processes import build_report, run_module, run_snakemake, snakemake_words

STUDIES = Path("results/studies")
Cores = Annotated[str | None, typer.Option(help="CPU cores to use: a number, or all (default).")]


def run(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONFIG] [KEY.PATH=VALUE]...",
            help="A YAML file, a folder with config.yaml, or the name of a study that comes with "
            "Gauntlet; then settings that are laid over it.",
            show_default=False,
        ),
    ] = None,
    cores: Cores = None,
    profile: Annotated[
        str | None, typer.Option(help="A Snakemake profile: a folder, or slurm and the like.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Say what would run, and run nothing.")
    ] = False,
    report: Annotated[bool, typer.Option(help="Build the report of the study.")] = True,
) -> int:
    """Run a study: train, attack, certify, audit, and show its table.

    Example: gauntlet run mnist training.epochs=2 --cores 4
    """
    config, settings = split_words(words or [])
    return run_configuration(
        read_configuration(config, settings), checked_cores(cores), profile, dry_run, report
    )


def run_configuration(
    configuration: Configuration,
    cores: str | None,
    profile: str | None = None,
    dry_run: bool = False,
    report: bool = True,
) -> int:
    """Start Snakemake on a checked configuration; then build the report and show the tables."""
    words = snakemake_words(configuration.files, cores, profile)
    if dry_run:
        return run_snakemake([*words, "--dry-run"])
    code = run_snakemake(words, {"GAUNTLET_TABLE": "off"})
    if code:
        return code
    if report:
        page = report_page(configuration.studies)
        made = snakemake_words(configuration.files, "1")
        if build_report([*made, "--report", str(page)]):
            typer.echo(f"The report {page} could not be built; the tables are there.", err=True)
    return run_module(
        "gauntlet.reporting.terminal", [str(STUDIES / s) for s in configuration.studies]
    )


def report_page(studies: list[str]) -> Path:
    """Name the page of a run: in the folder of its study, or in results/ for several."""
    return (STUDIES / studies[0] if len(studies) == 1 else STUDIES.parent) / "report.html"


def split_words(words: list[str]) -> tuple[str | None, list[str]]:
    """Part the configuration's name from the settings; raises UsageMistake for a second name."""
    names = [word for word in words if "=" not in word]
    if len(names) > 1:
        raise UsageMistake(
            f"'{names[1]}' is no setting; allowed after the configuration '{names[0]}' is "
            "key.path=value, such as training.epochs=2."
        )
    return (names[0] if names else None), [word for word in words if "=" in word]


def checked_cores(cores: str | None) -> str | None:
    """Give the number of cores as Snakemake takes it."""
    if cores is None or cores == "all" or (cores.isdigit() and int(cores) > 0):
        return cores
    raise UsageMistake(f"--cores is '{cores}'; allowed are a whole number of 1 or more, and all.")


def show(
    studies: Annotated[
        list[str] | None,
        typer.Argument(help="Names of studies, or their folders; none: all that are finished."),
    ] = None,
) -> int:
    """Show the tables of finished studies, and where their files lie.

    Example: gauntlet show quickstart
    """
    there = sorted(path.parent.name for path in STUDIES.glob("*/summary.json"))
    folders = [_study_folder(name, there) for name in studies or there]
    if not folders:
        raise UsageMistake(f"{STUDIES} holds no finished study; one is made by: gauntlet run")
    return run_module("gauntlet.reporting.terminal", [str(folder) for folder in folders])


def _study_folder(name: str, there: list[str]) -> Path:
    for place in (Path(name), STUDIES / name):
        if (place / "summary.json").is_file():
            return place
    raise UsageMistake(
        f"The study '{name}' is not finished here; finished are {', '.join(there) or 'none'}."
    )


def estimate(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CONFIG] [KEY.PATH=VALUE]...", help="As of `gauntlet run`."),
    ] = None,
    slots: Annotated[
        int | None, typer.Option(min=1, help="Cores, or GPUs where there are any.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="As if nothing had been done.")] = False,
) -> int:
    """Say what a study will cost before it runs: jobs, hours, disk.

    Example: gauntlet estimate cifar10 --slots 8
    """
    config, settings = split_words(words or [])
    files = read_configuration(config, settings).files
    named = [word for file in files for word in ("--config", str(file))]
    named += ["--slots", str(slots or os.cpu_count() or 1), *(["--fresh"] if fresh else [])]
    return run_module("gauntlet.study.cost.estimate", named)


def verify(
    folder: Annotated[str, typer.Argument(help="Folder to look through.")] = "results",
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove damaged files: the next run makes them again.")
    ] = False,
) -> int:
    """Find results that are not what was written.

    Example: gauntlet verify --remove
    """
    if not Path(folder).is_dir():
        raise UsageMistake(f"The folder '{folder}' does not exist; allowed is a folder of results.")
    return run_module("gauntlet.runtime.verify", [folder, *(["--remove"] if remove else [])])
