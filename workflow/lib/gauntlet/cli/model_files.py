"""What a file of a model is, and its entry under `models:`."""

import zipfile
from pathlib import Path
from typing import Any

from gauntlet.cli.errors import UsageMistake

WHOLE = {"exported", "onnx", "torchscript"}  # files that hold network and weights
OWN = ("article_cnn", "mlp", "preact_resnet18", "torchvision:NAME")


def model_entry(
    path: Path,
    arch: str | None,
    layers: Path | None,
    factory: str | None,
    inputs: dict[str, str | None],
    gradients: bool = True,
) -> dict[str, Any]:
    """Give the settings of a model from its file and the options that say what it is.

    Raises UsageMistake for a file that is not there, or whose network is not known.
    """
    if not path.is_file():
        raise UsageMistake(f"The model file '{path}' does not exist.")
    entry = _network(path, arch, layers, factory) | {"weights": str(path)}
    entry |= {key: _numbers(key, text) for key, text in inputs.items() if text is not None}
    return entry | ({} if gradients else {"gradients": False})


def file_kind(path: Path) -> str:
    """Say what a file holds: onnx, exported (torch.export), torchscript or state_dict."""
    if path.suffix == ".onnx":
        return "onnx"
    if not zipfile.is_zipfile(path):
        return "state_dict"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any("/code/" in name for name in names):
        return "torchscript"
    ours = ("serialized_exported_program.json", "/archive_format", "/models/model.json")
    return "exported" if any(name.endswith(ours) for name in names) else "state_dict"


def _network(path: Path, arch: str | None, layers: Path | None, factory: str | None) -> dict:
    kind, given = file_kind(path), [word for word in (arch, layers, factory) if word is not None]
    if len(given) > 1:
        raise UsageMistake("--arch, --layers and --factory exclude each other; allowed is one.")
    if kind in WHOLE:
        if given and arch != kind:
            raise UsageMistake(
                f"{path} is a {kind} file, which holds its network; --arch, --layers and "
                "--factory are for state dicts."
            )
        return {"arch": kind}
    if layers is not None:
        return {"arch": "declared", "layers": _layers(layers)}
    if factory is not None:
        return {"arch": "factory", "factory": _importable(factory)}
    if arch is None:
        raise UsageMistake(
            f"{path} holds weights without their network; allowed are --arch ({', '.join(OWN)}), "
            "--layers FILE.yaml and --factory FILE.py:FUNCTION."
        )
    kind, _, name = arch.partition(":")
    return {"arch": kind} | ({"name": name} if name else {})


def _layers(path: Path) -> list:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise UsageMistake(
            f"--layers is '{path}', which is no YAML file that can be read."
        ) from None
    found = found.get("layers") if isinstance(found, dict) else found
    if not isinstance(found, list):
        raise UsageMistake(f"{path} holds no list of layers; see config/README.md.")
    return found


def _importable(factory: str) -> str:
    """Turn `folder/file.py:function` into `folder.file:function`, as seen from here."""
    file, _, function = factory.rpartition(":")
    path = Path(file)
    if not file or not function.isidentifier():
        raise UsageMistake(f"--factory is '{factory}'; allowed is FILE.py:FUNCTION.")
    if path.suffix != ".py":
        return factory  # a module's name
    if not path.is_file():
        raise UsageMistake(f"--factory is '{factory}', but there is no file '{file}'.")
    try:
        inside = path.resolve().relative_to(Path.cwd().resolve())
    except ValueError:
        raise UsageMistake(
            f"--factory is '{factory}'; its file must be below this folder."
        ) from None
    return f"{'.'.join(inside.with_suffix('').parts)}:{function}"


def _numbers(key: str, text: str) -> float | list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        option = key.replace("_", "-")
        raise UsageMistake(f"--{option} is '{text}'; allowed are numbers with commas.") from None
    return found if len(found) > 1 else found[0]
