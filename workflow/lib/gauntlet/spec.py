"""Specifications: for each kind of job one dict of all, and only, what decides its result.

Standard library only. Every function takes a completed configuration; every specification holds
JSON types with keys sorted at all depths, resolved settings instead of the names of attacks and
defenses, and the device and thread count, on which the last bits depend. A `Run` can be spread
into the arguments: `train_spec(config, *run)`.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

from gauntlet.config import attack_points, init_source

Spec = dict[str, Any]
LISTS = ("datasets", "models", "defenses", "attacks", "seeds")
# Where a specification names a plug-in: key of the dict, family of plug-ins, key of the name.
PLUGINS = {
    "model": ("models", "arch"),
    "defense": ("defenses", "kind"),
    "attack": ("attacks", "kind"),
    "validation_attack": ("attacks", "kind"),
    "points": ("attacks", "kind"),
}


class Run(NamedTuple):
    """One trained model of a study."""

    dataset: str
    model: str
    defense: str
    seed: int


def device_kind(
    config: Spec,
    *,
    environ: Mapping[str, str] = os.environ,
    platform: str = sys.platform,
    machine: Callable[[], str] = lambda: os.uname().machine,
    exists: Callable[[str], bool] = os.path.exists,
    which: Callable[[str], str | None] = shutil.which,
) -> str:
    """Resolve `compute.device` to cpu, cuda or mps without importing PyTorch.

    auto is cuda where a GPU is visible, mps on a Mac with Apple's own processor, else cpu.
    """
    wanted = config["compute"]["device"]
    if wanted != "auto":
        return wanted
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    hidden = visible is not None and visible.strip() in ("", "-1")
    if not hidden and (exists("/dev/nvidia0") or (visible and which("nvidia-smi"))):
        return "cuda"
    return "mps" if platform == "darwin" and machine() == "arm64" else "cpu"


def ordered(value: Any) -> Any:
    """Sort the keys of dicts at all depths; raises TypeError for anything but JSON types."""
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [ordered(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a specification cannot hold a {type(value).__name__}")


def runs(config: Spec, study: str) -> list[Run]:
    """List the models that a study trains and attacks, in the order of its lists."""
    lists = config["studies"][study]
    return [Run(*names) for names in product(*(lists[key] for key in LISTS if key != "attacks"))]


def transfer_sets(config: Spec, study: str, defense: str) -> list[tuple[str, str]]:
    """List (source defense, attack) of the examples shown to a defense; none to their source."""
    transfer = config["studies"][study].get("transfer")
    if transfer is None or transfer["source"] == defense:
        return []
    return [(transfer["source"], attack) for attack in transfer["attacks"]]


def data_spec(config: Spec, dataset: str) -> Spec:
    """Say where a data set's images come from."""
    return ordered({k: v for k, v in config["datasets"][dataset].items() if k != "split"})


def split_spec(config: Spec, dataset: str) -> Spec:
    """Say how a data set is divided."""
    return ordered(config["datasets"][dataset]["split"])


def train_spec(config: Spec, dataset: str, model: str, defense: str, seed: int | str) -> Spec:
    """Say how a model is trained: `model`, `defense`, `training`, `seed` and the machine's share.

    `training.init` is whether weights of another run (an input) are the start; `defense.attack`
    and `training.validation_attack` are settings for `attacks.bind`. A defense that trains on
    files has no `attack` and `source`: they decide an input.
    """
    settings = config["defenses"][defense]
    training = {key: settings.get(key, value) for key, value in config["training"].items()}
    training["init"] = init_source(config, defense) is not None
    training["validation_attack"] = _single(config, training["validation_attack"])
    own = {key: value for key, value in settings.items() if key not in training}
    if "source" in own:
        del own["source"], own["attack"]
    elif "attack" in own:
        own["attack"] = _single(config, own["attack"])
    return ordered(_job(config, model, seed) | {"defense": own, "training": training})


def craft_spec(
    config: Spec, dataset: str, model: str, defense: str, seed: int | str, attack: str, part: str
) -> Spec:
    """Say how examples are made on a part of the data: `points`, one attack's settings per eps.

    On another part than test the examples serve training, which needs one draw of them.
    """
    settings = config["attacks"][attack]
    draws = settings["loss_draws"] if part == "test" else 1
    return ordered(
        _job(config, model, seed)
        | {"loss_draws": draws, "part": part, "points": attack_points(settings)}
    )


def transfer_spec(
    config: Spec,
    dataset: str,
    model: str,
    defense: str,
    seed: int | str,
    source: str,
    attack: str,
    part: str = "test",
) -> Spec:
    """Say how the source's examples are shown to a model; the examples themselves are an input."""
    points = [
        {key: point.get(key) for key in ("kind", "norm", "eps", "sigma") if key in point}
        for point in attack_points(config["attacks"][attack])
    ]
    return ordered(_job(config, model, seed) | {"part": part, "points": points})


def evaluate_spec(
    config: Spec, study: str, dataset: str, model: str, defense: str, seed: int | str
) -> Spec:
    """Say which ledgers make a model's rows in a study; names, because the rows show them."""
    run = Run(dataset, model, defense, int(seed))
    attacks = config["studies"][study]["attacks"]
    sets = transfer_sets(config, study, defense)
    return ordered(run._asdict() | {"attacks": attacks, "transfer": sets})


def table_spec(config: Spec, study: str) -> Spec:
    """Say what a study's tables show, in which order."""
    lists = config["studies"][study]
    return ordered({key: lists[key] for key in LISTS} | {"study": study})


def figure_spec(config: Spec, study: str) -> Spec:
    """Say what a study's figures show, and how they look."""
    return ordered(table_spec(config, study) | {"figures": config["figures"]})


def plugins(spec: Spec) -> list[str]:
    """Name the modules that a specification's job loads by name, for its code's hash."""
    found = {f"gauntlet.data.{spec['source']}"} if "source" in spec else set()
    return sorted(found | set(_plugins(spec)))


def _plugins(spec: Spec) -> Iterator[str]:
    for key, value in spec.items():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                if key in PLUGINS:
                    family, name = PLUGINS[key]
                    yield f"gauntlet.{family}.{part[name]}"
                yield from _plugins(part)


def _job(config: Spec, model: str, seed: int | str) -> Spec:
    """Give what all jobs that compute with a model have in common."""
    compute = config["compute"]
    return {
        "batch": compute["batch"],
        "device": device_kind(config),
        "model": config["models"][model],
        "seed": int(seed),
        "threads": compute["threads"],
    }


def _single(config: Spec, attack: str) -> Spec:
    (point,) = attack_points(config["attacks"][attack])
    return point
