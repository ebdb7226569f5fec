"""`gauntlet attack MODEL`: a configuration for one file, written, run and shown."""

import re
from pathlib import Path
from typing import Annotated

import typer

from gauntlet.cli import data_sources, levels, model_files
from gauntlet.cli.configuration import check_text, read_configuration
from gauntlet.cli.errors import UsageMistake
from gauntlet.cli.run_command import Cores, checked_cores, run_configuration
from gauntlet.cli.yaml_files import write_generated

Arch = Annotated[
    str | None,
    typer.Option(help="Of a state dict: article_cnn, mlp, preact_resnet18, torchvision:NAME."),
]
Layers = Annotated[
    Path | None, typer.Option(help="Of a state dict: a YAML file with its list of layers.")
]
Factory = Annotated[
    str | None, typer.Option(help="Of a state dict: FILE.py:FUNCTION that gives the network.")
]
Mean = Annotated[str | None, typer.Option(help="Taken from each channel: 0.1 or 0.5,0.5,0.5.")]
LENGTH = re.compile(r"\d+(\.\d+)?(/\d+(\.\d+)?)?|\d+(\.\d+)?[eE]-?\d+")


def attack(
    model: Annotated[
        Path, typer.Argument(help="TorchScript, .pt2, .onnx, or a state dict with --arch etc.")
    ],
    data: Annotated[
        str, typer.Option(help="mnist, fashion_mnist, cifar10, digits, a folder, or an .npz file.")
    ],
    eps: Annotated[str, typer.Option(help="Radius of the ball, such as 8/255 or 0.3.")],
    norm: Annotated[str, typer.Option(help="linf, l2 or l1.")] = "linf",
    quick: Annotated[bool, typer.Option("--quick", help="200 images, two fast attacks.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="All test images, more attacks, certificate, audit.")
    ] = False,
    images: Annotated[int | None, typer.Option(min=1, help="Test images; else 1,000.")] = None,
    arch: Arch = None,
    layers: Layers = None,
    factory: Factory = None,
    mean: Mean = None,
    std: Annotated[str | None, typer.Option(help="What each channel is divided by.")] = None,
    input_range: Annotated[
        str | None, typer.Option(help="What the network takes for black and white: 0,255.")
    ] = None,
    gradients: Annotated[
        bool, typer.Option(help="--no-gradients: only attacks that ask for answers.")
    ] = True,
    cores: Cores = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Write the YAML, run nothing.")
    ] = False,
) -> int:
    """Attack a model from a file: write its configuration, run it, show the table and the page.

    Example: gauntlet attack model.onnx --data mnist --eps 0.3 --quick
    """
    if quick and full:
        raise UsageMistake("--quick and --full exclude each other; allowed is one of them.")
    if not LENGTH.fullmatch(eps):
        raise UsageMistake(f"--eps is '{eps}'; allowed is a number or a fraction such as 8/255.")
    level = levels.FULL if full else levels.QUICK if quick else levels.USUAL
    inputs = {"mean": mean, "std": std, "input_range": input_range}
    entry = model_files.model_entry(model, arch, layers, factory, inputs, gradients)
    source = data_sources.source(data)
    name = study_name(model)
    text = levels.study_yaml(name, source, entry, level, norm, _length(eps), images)
    check_text(text)
    path = write_generated(Path(f"gauntlet-{name}.yaml"), text)
    typer.echo(
        f"{path} holds the study; what it says can be changed and run by: gauntlet run {path}"
    )
    return run_configuration(read_configuration(str(path), []), checked_cores(cores), None, dry_run)


def study_name(model: Path) -> str:
    """Make a study's name from a file's: small letters, digits and _."""
    word = re.sub(r"[^a-z0-9]+", "_", model.stem.lower()).strip("_")
    return word if re.match("[a-z]", word) else f"model_{word}".rstrip("_")


def _length(eps: str) -> float | str:
    return eps if "/" in eps else float(eps)
