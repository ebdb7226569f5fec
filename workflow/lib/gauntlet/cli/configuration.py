"""The configuration of a run: the base, the user's files over it, the settings of the command."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from gauntlet.cli.errors import UsageMistake
from gauntlet.cli.overrides import merged, read_overrides
from gauntlet.core import plugins
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import write_whole
from gauntlet.core.locations import schema_path, workflow_home

USUAL = "config.yaml"  # in the working directory or in a named folder
BASE = "quickstart"  # the study of the base itself
WRITTEN = Path(".gauntlet/config")  # settings of a command, as a file for Snakemake


class Configuration(NamedTuple):
    """The files that are laid over the base, in order, and the whole with its defaults."""

    files: list[Path]
    whole: dict[str, Any]

    @property
    def studies(self) -> list[str]:
        """Name the studies that are made."""
        return self.whole["run"]


def read_configuration(config: str | None, settings: list[str]) -> Configuration:
    """Read and check all that a run is configured by.

    Settings of the command line become a file below .gauntlet, named by its content: Snakemake's
    own --config knows no types below the first level. Raises UsageMistake, a sentence a line.
    """
    from gauntlet.study.own_files import own_file_problems
    from gauntlet.study.plugin_schema import with_plugins
    from gauntlet.study.schema import load_schema

    files = [found_config(config)] if config or Path(USUAL).is_file() else []
    raw = read_yaml(workflow_home() / "config" / "config.yaml")
    for file in files:
        raw = merged(raw, read_yaml(file))
    if settings:
        use_plugins(raw)
        own = read_overrides(settings, raw, with_plugins(load_schema(str(schema_path()))))
        raw = merged(raw, own)
    whole = _completed(raw)
    if problems := own_file_problems(whole):
        raise UsageMistake("\n".join(problems))
    return Configuration([*files, write_settings(own)] if settings else files, whole)


def check_text(text: str) -> None:
    """Check a configuration that is about to be written; raises UsageMistake, a sentence a line."""
    import yaml

    base = read_yaml(workflow_home() / "config" / "config.yaml")
    _completed(merged(base, yaml.safe_load(text)))


def _completed(raw: dict[str, Any]) -> dict[str, Any]:
    from gauntlet.study.schema import complete

    try:
        return complete(raw, schema_path())
    except GauntletError as error:
        raise UsageMistake(str(error)) from None


def use_plugins(raw: dict[str, Any]) -> None:
    """Make the user's own plug-ins known; what is wrong with them is said when all is checked."""
    listed = raw.get("plugins") or []
    plugins.use(part for part in listed if isinstance(part, str) and Path(part).is_dir())


def found_config(config: str | None) -> Path:
    """Find a configuration: a file, or a folder that holds config.yaml.

    A bare name such as `mnist` is also looked for among Gauntlet's own studies.
    """
    path = Path(config or USUAL)
    shown = {file.stem: file for file in (workflow_home() / "config").glob("*.yaml")}
    shown[BASE] = shown.pop("config")
    shown.pop("reference", None)  # published numbers, no study
    for place in (path, path / USUAL, shown.get(str(path))):
        if place is not None and place.is_file():
            return place
    raise UsageMistake(
        f"The configuration '{path}' does not exist; allowed are a YAML file, a folder with "
        f"{USUAL} in it, and the studies that come with Gauntlet: {', '.join(sorted(shown))}."
    )


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping; an empty file is an empty mapping."""
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageMistake(f"{path} cannot be read: {error}.") from None
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" (line {place.line + 1})" if place else ""
        raise UsageMistake(f"{path} is not written in YAML{where}.") from None
    if not isinstance(found, dict | None):
        raise UsageMistake(
            f"{path} holds a {type(found).__name__}; allowed is a mapping of settings."
        )
    return found or {}


def write_settings(settings: dict[str, Any]) -> Path:
    """Write settings of the command line where Snakemake can read them."""
    import yaml

    text = yaml.safe_dump(settings, sort_keys=True)
    path = WRITTEN / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.yaml"
    write_whole(path, lambda fresh: fresh.write_text(text, encoding="utf-8"))
    return path
