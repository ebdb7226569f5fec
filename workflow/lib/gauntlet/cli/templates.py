"""The text of a new study: its configuration with comments, and its README."""

from typing import Any, NamedTuple

from gauntlet.cli.data_sources import Source
from gauntlet.cli.yaml_files import entries

NO_EPS = ("gaussian_noise", "spatial", "corruptions")
SETTINGS = {  # what an attack needs besides norm and eps
    "gaussian_noise": {"sigma": 0.1},
    "spatial": {"rotation": 30, "shift": 0.125},
    "corruptions": {"severity": 3},
}
OTHER_NORM = {"cw", "ddn", "deepfool", "hopskipjump"}  # l2 by nature: radii of their own
L2_RADII = [0.25, 0.5, 1.0, 2.0]


class NewStudy(NamedTuple):
    """The answers that a new study is made of."""

    name: str
    data: Source
    model: tuple[str, dict[str, Any]]
    attacks: list[str]
    eps: float | str

    @property
    def trained(self) -> bool:
        """Tell whether its model is trained here."""
        return "weights" not in self.model[1]


def config_text(study: NewStudy) -> str:
    """Write the configuration of a new study; every part says what can be changed."""
    model, settings = study.model
    attacks = {f"my_{kind}": _attack(kind, study.eps) for kind in study.attacks}
    split = {"validation": 0.1, "train_limit": 5000, "validation_limit": 500, "test_limit": 500}
    data = study.data.settings | {"split": split}
    return f"""\
# The study {study.name}. It lies over Gauntlet's config/config.yaml: mappings are merged, lists and
# values are replaced. Run it in this folder: gauntlet run
run: [{study.name}]

# How training goes; these are quick settings for a first look.
training: {{epochs: 10, validation_attack: inner10}}

# Where the images come from. The limits keep a first run short: set them to null for all images.
datasets:
{entries({study.data.name: data})}
# {_model_words(study)}
models:
{entries({model: settings})}
# What the model is attacked by: `gauntlet list attacks` names all kinds.
attacks:
{entries(attacks)}  # inside training and validation
{entries(_inner(study.eps))}{_defenses(study)}
# What is crossed with what: each defense is trained and attacked with each seed.
studies:
  {study.name}:
    datasets: [{study.data.name}]
    models: [{model}]
    defenses: [{"plain, robust" if study.trained else "as_given"}]
    attacks: [{", ".join(attacks)}]
    seeds: [0]
"""


def _attack(kind: str, eps: float | str) -> dict[str, Any]:
    own = {"kind": kind} | SETTINGS.get(kind, {})
    if kind in NO_EPS:
        return own
    return own | {"eps": L2_RADII if kind in OTHER_NORM else eps}


def _inner(eps: float | str) -> dict[str, Any]:
    return {f"inner{steps}": {"kind": "pgd", "eps": eps, "steps": steps} for steps in (7, 10)}


def _model_words(study: NewStudy) -> str:
    if study.trained:
        return "The network that is trained: `gauntlet list models` names all architectures."
    return "Your model, which is taken as it is; docs: External models (mean, std, input_range)."


def _defenses(study: NewStudy) -> str:
    if not study.trained:
        return ""
    return """
# How it is trained: `gauntlet list defenses` names all kinds.
defenses:
  plain: {kind: standard, selection: last}
  robust: {kind: adversarial, attack: inner7}
"""


def readme_text(study: NewStudy) -> str:
    """Write a new study's README."""
    return f"""\
# {study.name}

    gauntlet run --dry-run        # what would be done
    gauntlet estimate             # what it will cost
    gauntlet run                  # do it, and show the table
    gauntlet run training.epochs=2 --cores 2

Settings are in `config.yaml`. Results come to `results/studies/{study.name}/`; after a change only
what it makes stale runs again. `gauntlet explain results/studies/{study.name}/summary.csv` says
how a result came about.
"""
