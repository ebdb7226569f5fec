"""Specifications: for each kind of job one dict of all, and only, what decides its result.

Standard library only. Every function takes a completed configuration; every specification holds
JSON types with keys sorted at all depths, resolved settings instead of the names of attacks and
defenses, and the device and thread count, on which the last bits depend. A `Run` can be spread
into the arguments: `train_spec(config, *run)`.
"""

from collections.abc import Iterator
from typing import Any

from gauntlet.core.plugin_facts import facts
from gauntlet.core.records import Run
from gauntlet.study import certificates
from gauntlet.study.attack_points import attack_points
from gauntlet.study.defenses import INPUTS, init_source, needed_teacher, own_settings, training_of
from gauntlet.study.device_kind import device_kind
from gauntlet.study.families import KEYS
from gauntlet.study.matrix import AS_GIVEN, crossed, external_models
from gauntlet.study.models import model_settings
from gauntlet.study.precision import EXACT, check_precision, craft_precision, train_precision
from gauntlet.study.pretrained import beginning, is_published
from gauntlet.study.searches import search_part
from gauntlet.study.split_settings import chosen_indices

Spec = dict[str, Any]
CHUNKS = {"cpu": 128, "cuda": 1024}  # images at a time: on a CPU what its cache holds
ALL = "all"  # as a transfer's source: every defense of the study
LISTS = ("datasets", "models", "defenses", "attacks", "seeds")


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
    """List the models that a study trains or is given, and attacks, in the order of its lists."""
    lists = config["studies"][study]
    return [Run(*names) for names in crossed(lists, external_models(config, study))]


def transfer_sets(config: Spec, study: str, defense: str) -> list[tuple[str, str]]:
    """List (source defense, attack) of the examples shown to a defense; none to their source."""
    transfer = config["studies"][study].get("transfer")
    if transfer is None or defense == AS_GIVEN:
        return []
    every = [name for name in config["studies"][study]["defenses"] if name != AS_GIVEN]
    sources = every if transfer["source"] == ALL else [transfer["source"]]
    return [(name, shown) for name in sources for shown in transfer["attacks"] if name != defense]


def data_spec(config: Spec, dataset: str) -> Spec:
    """Say where a data set's images come from."""
    return ordered({k: v for k, v in config["datasets"][dataset].items() if k != "split"})


def split_spec(config: Spec, dataset: str) -> Spec:
    """Say how a data set is divided; `test_indices` only where test images are chosen."""
    split = config["datasets"][dataset]["split"]
    shares = {key: value for key, value in split.items() if key != "test_indices"}
    chosen = chosen_indices(split)
    return ordered(shares | ({"test_indices": chosen} if chosen else {}))


def train_spec(config: Spec, dataset: str, model: str, defense: str, seed: int | str) -> Spec:
    """Say how a model is trained: `model`, `defense`, `training`, `seed` and the machine's share.

    `training.init` is whether weights of another run (an input) are the start, `training.extra`
    the share of further images (an input too); `defense.attack` and `training.validation_attack`
    are settings for `attacks.bind`, `defense.teacher` is the teacher's model, `pretrained` the
    name of published weights to begin from (null: a file). `search` is there if a search finds some
    of the settings, an input. What only decides an input is left out.
    """
    settings, training = config["defenses"][defense], training_of(config, defense)
    training["init"] = init_source(config, defense) is not None
    training["extra"] = training["extra"] and {"share": training["extra"]["share"]}
    training["validation_attack"] = _single(config, training["validation_attack"])
    job = job_spec(config, model, seed)
    training["precision"] = train_precision(config, dataset, model, training, job)
    own = own_settings(settings, training)
    own = {key: value for key, value in own.items() if key not in INPUTS}
    if "source" in settings:
        del own["attack"]
    elif "attack" in own:
        own["attack"] = _single(config, own["attack"])
    if teacher := needed_teacher(config, defense):
        own["teacher"] = {"model": model_settings(config, teacher.model)}
    whole = job | {"defense": own, "training": training}
    if weights := beginning(config, model, defense):
        whole["pretrained"] = weights if is_published(weights) else None
    if search := settings.get("from_search"):
        whole["search"] = search_part(config, search)
    return ordered(whole)


def craft_spec(
    config: Spec, dataset: str, model: str, defense: str, seed: int | str, attack: str, part: str
) -> Spec:
    """Say how examples are made on a part of the data: `points`, one attack's settings per eps.

    On another part than test the examples serve training, which needs one draw of them. `spare` is
    there if certificates (inputs) say which images need no attack.
    """
    settings, run = config["attacks"][attack], (dataset, model, defense, int(seed))
    draws = settings.get("loss_draws", 0) if part == "test" else 1
    job = job_spec(config, model, seed)
    precision = craft_precision(config, dataset, model, attack, job)
    own = {"loss_draws": draws, "part": part, "precision": precision}
    if names := certificates.sparing(config, *run, attack, part):
        own["spare"] = {"sample": certificates.sample(config, *run, names)}
    return ordered(job | own | {"points": attack_points(settings)})


def shard_spec(config: Spec, *, scatteritem: str, **names) -> Spec:
    """Say how examples are made for a share of the images, such as "2-of-5"."""
    return ordered(craft_spec(config, **names) | {"shard": scatteritem})


def gather_spec(config: Spec, attack: str) -> Spec:
    """Say how shards are joined: by how many points each of their files holds."""
    return {"points": len(attack_points(config["attacks"][attack]))}


def check_spec(config: Spec, attack: str) -> Spec:
    """Say which attack is held against models of known distance, and how it is computed."""
    compute, device = config["compute"], device_kind(config)
    chosen = {"batch": compute["batch"] or CHUNKS[device], "threads": compute["threads"]}
    chosen |= {"device": device, "precision": check_precision(config, attack)}
    return ordered(chosen | {"points": attack_points(config["attacks"][attack])})


def certify_spec(
    config: Spec,
    dataset: str,
    model: str,
    defense: str,
    seed: int | str,
    certificate: str,
    part: str,
) -> Spec:
    """Say what is proven about a part of the data: `certificate`, one set of settings per eps."""
    points = certificates.certificate_points(config["certificates"][certificate])
    return ordered(job_spec(config, model, seed) | {"part": part, "certificate": points})


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
    settings = config["attacks"][attack]
    shown = ("kind", "norm", "eps", facts("attacks", settings["kind"]).get("SIZE"))
    points = [
        {key: point[key] for key in shown if key in point} for point in attack_points(settings)
    ]
    return ordered(job_spec(config, model, seed) | {"part": part, "points": points})


def evaluate_spec(
    config: Spec, study: str, dataset: str, model: str, defense: str, seed: int | str
) -> Spec:
    """Say which ledgers make a model's rows in a study; names, because the rows show them."""
    run = Run(dataset, model, defense, int(seed))
    lists = config["studies"][study]
    attacks, sets = lists["attacks"], transfer_sets(config, study, defense)
    kinds = {name: config["attacks"][name]["kind"] for name in attacks}
    nearest = [name for name in attacks if facts("attacks", kinds[name]).minimum_norm]
    shown = {"attacks": attacks, "minimal": nearest, "transfer": sets}
    proofs = [certificates.described(config, name) for name in lists["certificates"]]
    shown |= _lowered(config, run, attacks)
    return ordered(run._asdict() | shown | {"certificates": proofs})


def _lowered(config: Spec, run: Run, attacks: list[str]) -> Spec:
    """Say which attacks take their gradients in a lower precision, and in which."""
    job = job_spec(config, run.model, run.seed)
    found = {name: craft_precision(config, run.dataset, run.model, name, job) for name in attacks}
    lower = {name: kind for name, kind in found.items() if kind != EXACT}
    return {"low_precision": lower} if lower else {}


def table_spec(config: Spec, study: str) -> Spec:
    """Say what a study's tables show, in which order."""
    lists, external = config["studies"][study], external_models(config, study)
    shown = {key: lists[key] for key in LISTS} | {"study": study}
    return ordered(shown | ({"external": external} if external else {}))


def figure_spec(config: Spec, study: str) -> Spec:
    """Say what a study's figures show, and how they look."""
    return ordered(table_spec(config, study) | {"figures": config["figures"]})


def study_spec(config: Spec, study: str) -> Spec:
    """Say which study is complete, or has passed its gate."""
    return {"study": study}


def plugins(spec: Spec) -> list[str]:
    """Name the modules that a specification's job loads by name, for its code's hash."""
    found = {f"gauntlet.data.{spec['source']}"} if "source" in spec else set()
    found |= {f"gauntlet.audit.{check}" for check in spec.get("checks", ())}
    found |= {f"gauntlet.reporting.figures.{spec['figure']}"} if "figure" in spec else set()
    return sorted(found | set(_plugins(spec)))


def _plugins(spec: Spec) -> Iterator[str]:
    for key, value in spec.items():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                if key in KEYS and KEYS[key].switch in part:
                    yield f"gauntlet.{KEYS[key].package}.{part[KEYS[key].switch]}"
                if key != "model":  # whose settings name nothing, whatever they are called
                    yield from _plugins(part)


def job_spec(config: Spec, model: str, seed: int | str) -> Spec:
    """Give what all jobs that compute with a model have in common."""
    compute, device = config["compute"], device_kind(config)
    return {
        "batch": compute["batch"] or CHUNKS[device],
        "device": device,
        "model": model_settings(config, model),
        "seed": int(seed),
        "threads": compute["threads"],
    }


def _single(config: Spec, attack: str) -> Spec:
    (point,) = attack_points(config["attacks"][attack])
    return point
