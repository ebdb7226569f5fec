"""`gauntlet attack MODEL`: a configuration for one file, written, run and shown."""

import typer

from gauntlet.cli import attack_options as options
from gauntlet.cli import data_sources, levels, model_files
from gauntlet.cli.configuration import check_text, read_configuration
from gauntlet.cli.errors import UsageMistake
from gauntlet.cli.names import configuration_of, length, name_for
from gauntlet.cli.run_command import Cores, checked_cores, run_configuration
from gauntlet.cli.yaml_files import write_generated


def attack(
    model: options.Model,
    data: options.Data,
    eps: options.Eps,
    norm: options.Norm = "linf",
    quick: options.Quick = False,
    full: options.Full = False,
    images: options.Images = None,
    arch: options.Arch = None,
    layers: options.Layers = None,
    factory: options.Factory = None,
    mean: options.Mean = None,
    std: options.Std = None,
    input_range: options.InputRange = None,
    gradients: options.Gradients = True,
    cores: Cores = None,
    dry_run: options.DryRun = False,
) -> int:
    """Attack a model from a file: write its configuration, run it, show the table and the page.

    Example: gauntlet attack model.onnx --data mnist --eps 0.3 --quick
    """
    if quick and full:
        raise UsageMistake("--quick and --full exclude each other; allowed is one of them.")
    radius = length(eps)
    level = levels.FULL if full else levels.QUICK if quick else levels.USUAL
    inputs = {"mean": mean, "std": std, "input_range": input_range}
    entry = model_files.model_entry(model, arch, layers, factory, inputs, gradients)
    source = data_sources.source(data)
    name = name_for(model)
    text = levels.study_yaml(name, source, entry, level, norm, radius, images)
    check_text(text)
    path = write_generated(configuration_of(name), text)
    typer.echo(
        f"{path} holds the study; what it says can be changed and run by: gauntlet run {path}"
    )
    return run_configuration(read_configuration(str(path), []), checked_cores(cores), None, dry_run)
