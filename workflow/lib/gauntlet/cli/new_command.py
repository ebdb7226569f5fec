"""`gauntlet new NAME`: a folder with a commented configuration and a short README."""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from gauntlet.cli.configuration import check_text
from gauntlet.cli.data_sources import FETCHED, Source, source
from gauntlet.cli.errors import UsageMistake
from gauntlet.cli.list_command import Kind, plugin_entries
from gauntlet.cli.model_files import model_entry
from gauntlet.cli.names import length, study_name
from gauntlet.cli.templates import NewStudy, config_text, readme_text

TRAINED = ("article_cnn", "mlp", "preact_resnet18")
USUAL_ATTACKS = "fgsm,pgd,gauntlet"


def new(
    folder: Annotated[Path, typer.Argument(help="Folder to make, such as my-study.")],
    data: Annotated[
        str | None, typer.Option(help=f"{', '.join(FETCHED)}, a folder, or an .npz file.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help=f"{', '.join(TRAINED)}, or a file of your own model.")
    ] = None,
    attacks: Annotated[
        str | None,
        typer.Option(
            help=f"Kinds with commas, as of `gauntlet list attacks`; default {USUAL_ATTACKS}."
        ),
    ] = None,
    eps: Annotated[
        str | None, typer.Option(help="Radius; default is the data's usual one.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing, take defaults.")] = False,
) -> None:
    """Make a folder with a study of your own: asks for data, model and attacks.

    Example: gauntlet new my-study --data mnist --attacks fgsm,pgd
    """
    if folder.exists():
        raise UsageMistake(f"'{folder}' exists already; allowed is the name of a new folder.")
    ask = not yes and sys.stdin.isatty()
    chosen = source(_answer(ask, data, "Data (a name, a folder or an .npz file)", "digits"))
    network = _answer(ask, model, "Model (a name, or a file)", _usual_model(chosen))
    kinds = _answer(ask, attacks, "Attacks (kinds with commas)", USUAL_ATTACKS)
    study = NewStudy(
        _study_name(folder),
        _from_anywhere(chosen),
        _model(network),
        _kinds(kinds),
        chosen.eps if eps is None else length(eps),
    )
    _write(folder, study)
    typer.echo(f"{folder} holds config.yaml and README.md. Next: cd {folder} && gauntlet run")


def _answer(ask: bool, given: str | None, question: str, default: str) -> str:
    if given is not None or not ask:
        return given or default
    return typer.prompt(question, default=default)


def _usual_model(data: Source) -> str:
    return "preact_resnet18" if data.name in ("cifar10", "images") else "article_cnn"


def _study_name(folder: Path) -> str:
    if not re.search("[a-zA-Z]", folder.name):
        raise UsageMistake(f"'{folder.name}' has no letter to begin a name with; such as my-study.")
    return study_name(folder.name)


def _from_anywhere(data: Source) -> Source:
    """Give a data set's path so that the study can be run from any folder."""
    if "path" not in data.settings:
        return data
    path = os.path.abspath(data.settings["path"])
    return data._replace(settings=data.settings | {"path": path})


def _model(network: str) -> tuple[str, dict]:
    """Give a model's name and settings: one that is trained, or a file that is taken as it is."""
    if network in TRAINED:
        return network, {"arch": network}
    if not Path(network).is_file():
        raise UsageMistake(
            f"--model is '{network}'; allowed are {', '.join(TRAINED)}, and a file that is there."
        )
    entry = model_entry(Path(network), None, None, None, {})
    return "mine", entry | {"weights": os.path.abspath(network)}


def _kinds(text: str) -> list[str]:
    known = [entry.name for entry in plugin_entries(Kind.ATTACKS)]
    asked = [word.strip() for word in text.split(",") if word.strip()]
    for word in asked:
        if word not in known:
            from gauntlet.study.resolve import choices

            raise UsageMistake(f"--attacks names '{word}'; allowed are {choices(word, known)}.")
    return list(dict.fromkeys(asked)) or USUAL_ATTACKS.split(",")


def _write(folder: Path, study: NewStudy) -> None:
    """Make the folder whole or not at all; what is written is checked first."""
    text = config_text(study)
    check_text(text)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        (fresh / "config.yaml").write_text(text, encoding="utf-8")
        (fresh / "README.md").write_text(readme_text(study), encoding="utf-8")
        fresh.chmod(0o755)
        os.rename(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
