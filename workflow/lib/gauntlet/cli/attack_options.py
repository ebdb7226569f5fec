"""The options of `gauntlet attack`, each with its help."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

Model = Annotated[
    Path, Argument(help="TorchScript, .pt2, .onnx, or a state dict with --arch or the like.")
]
Data = Annotated[
    str, Option(help="mnist, fashion_mnist, cifar10, digits, a folder, or an .npz file.")
]
Eps = Annotated[str, Option(help="Radius of the ball, such as 8/255 or 0.3.")]
Norm = Annotated[str, Option(help="linf, l2 or l1.")]
Quick = Annotated[bool, Option("--quick", help="200 images, two fast attacks.")]
Full = Annotated[bool, Option("--full", help="All test images, more attacks, certificate, audit.")]
Images = Annotated[int | None, Option(min=1, help="Test images; else 1,000.")]
Arch = Annotated[
    str | None,
    Option(help="Of a state dict: article_cnn, mlp, preact_resnet18, torchvision:NAME."),
]
Layers = Annotated[
    Path | None, Option(help="Of a state dict: a YAML file with its list of layers.")
]
Factory = Annotated[
    str | None, Option(help="Of a state dict: FILE.py:FUNCTION that gives the network.")
]
Mean = Annotated[str | None, Option(help="Taken from each channel: 0.1 or 0.5,0.5,0.5.")]
Std = Annotated[str | None, Option(help="What each channel is divided by.")]
InputRange = Annotated[
    str | None, Option(help="What the network takes for black and white: 0,255.")
]
Gradients = Annotated[bool, Option(help="--no-gradients: only attacks that ask for answers.")]
DryRun = Annotated[bool, Option("--dry-run", "-n", help="Write the YAML, run nothing.")]
