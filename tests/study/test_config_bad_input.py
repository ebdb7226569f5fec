"""Configurations that are wrong: each is refused in one sentence that helps."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gauntlet.core.errors import GauntletError
from gauntlet.study.schema import complete
from tests.study.test_config import BASE, SCHEMA, laid_over

DATASET = {"source": "mnist"}
FOLDER = {"source": "image_folder", "path": "photos"}
FGSM = {"kind": "fgsm", "eps": 0.1}
PGD = {"kind": "pgd", "eps": 0.1}
STUDY = BASE["studies"]["quickstart"]


def attack(**changes):
    return {"attacks": {"a": PGD | changes}}


def defense(**changes):
    return {"defenses": {"d": changes}}


def study(**changes):
    return {"studies": {"quickstart": changes}}


def training(**changes):
    return {"training": changes}


def split(**changes):
    return {"datasets": {"d": DATASET | {"split": changes}}}


# name of the case, what is laid over the quickstart, what the sentence must contain
CASES = [
    # keys
    ("unknown key", {"atacks": {}}, ["atacks is no known key", "nearest is 'attacks'"]),
    ("unknown setting", attack(step_size=1), ["attacks.a.step_size", "nearest is 'steps'"]),
    (
        "setting of another kind",
        defense(kind="adversarial", attack="pgd7", beta=1),
        ["defenses.d.beta is no known key", "allowed are attack, "],
    ),
    ("unknown split key", split(tset=0.2), ["datasets.d.split.tset", "nearest is 'test'"]),
    ("unknown study key", study(seed=[0]), ["studies.quickstart.seed", "nearest is 'seeds'"]),
    ("unknown training key", training(epoch=3), ["training.epoch", "nearest is 'epochs'"]),
    ("key that is no text", {True: 1}, ["True is no known key"]),
    # names
    ("capital letters", {"attacks": {"PGD": PGD}}, ["attacks has the name 'PGD'", "small letters"]),
    ("dash", {"models": {"my-net": {"arch": "mlp"}}}, ["models has the name 'my-net'"]),
    ("path as a name", {"datasets": {"../x": DATASET}}, ["datasets has the name '../x'"]),
    ("digit first", {"studies": {"2nd": STUDY}}, ["studies has the name '2nd'", "starts with"]),
    ("line break", {"attacks": {"a\n": PGD}}, ["attacks has the name 'a\\n'"]),
    ("long name", {"models": {"m" * 65: {"arch": "mlp"}}}, ["models has the name", "at most 64"]),
    ("number as a name", {"defenses": {1: {"kind": "standard"}}}, ["defenses has the name 1"]),
    ("yes as a name", {"attacks": {True: PGD}}, ["attacks has the name true", "small letters"]),
    ("none, reserved", {"defenses": {"none": {"kind": "standard"}}}, ["'none'", "reserved"]),
    ("worst_case, reserved", {"attacks": {"worst_case": PGD}}, ["'worst_case'", "reserved"]),
    # kinds
    ("unknown attack", attack(kind="pdg"), ["attacks.a.kind is 'pdg'", "nearest is 'pgd'"]),
    ("unknown defense", defense(kind="trade"), ["defenses.d.kind is 'trade'", "is 'trades'"]),
    ("unknown architecture", {"models": {"m": {"arch": "mpl"}}}, ["models.m.arch", "is 'mlp'"]),
    ("unknown source", {"datasets": {"d": {"source": "minst"}}}, ["d.source", "is 'mnist'"]),
    ("no kind", {"attacks": {"a": {"eps": 0.1}}}, ["attacks.a.kind is missing", "one of adaptive"]),
    ("empty attack", {"attacks": {"a": None}}, ["attacks.a is empty", "a mapping"]),
    # types and ranges
    (
        "text for a number",
        training(learning_rate="1e-3"),
        ["learning_rate is '1e-3'", "write 0.001"],
    ),
    (
        "text for a count",
        training(epochs="ten"),
        ["epochs is 'ten'", "from 1 to 100000"],
    ),
    ("true for a count", training(epochs=True), ["training.epochs is true", "a whole number"]),
    ("part of an epoch", training(epochs=2.5), ["training.epochs is 2.5", "a whole number"]),
    ("no epochs", training(epochs=0), ["training.epochs is 0", "from 1 to"]),
    ("not a number", training(learning_rate=float("nan")), ["learning_rate is nan", "above 0"]),
    ("infinite", attack(norm="l2", eps=float("inf")), ["attacks.a.eps is inf", "a number"]),
    ("learning rate 0", training(learning_rate=0), ["learning_rate is 0", "above 0"]),
    ("ema of 1", training(ema=1), ["training.ema is 1", "below 1"]),
    ("optimizer", training(optimizer="adma"), ["optimizer is 'adma'", "nearest is 'adam'"]),
    ("schedule", training(schedule="linear"), ["schedule is 'linear'", "constant, cosine"]),
    ("precision", training(precision="float16"), ["'float16'", "bfloat16, float32"]),
    ("selection", training(selection="final"), ["selection is 'final'", "best, last"]),
    ("augment off", training(augment=False), ["augment is false", "flip_crop, none", "quote"]),
    ("no threads", {"compute": {"threads": 0}}, ["compute.threads is 0", "1 or more"]),
    ("device", {"compute": {"device": "gpu"}}, ["compute.device is 'gpu'", "auto, cpu, cuda"]),
    ("clean share of 1", defense(kind="adversarial", attack="pgd7", clean_share=1), ["below 1"]),
    ("beta below 0", defense(kind="trades", attack="pgd7", beta=-1), ["d.beta is -1", "0 or more"]),
    ("sigma in grey levels", defense(kind="gaussian_noise", sigma=25), ["d.sigma is 25", "0 to 1"]),
    ("one channel count", {"models": {"m": {"arch": "article_cnn", "channels": [8]}}}, ["[8]"]),
    ("no hidden layer", {"models": {"m": {"arch": "mlp", "hidden": []}}}, ["m.hidden is empty"]),
    ("no network", {"models": {"m": {"arch": "torchvision", "name": ""}}}, ["m.name is empty"]),
    ("no network's name", {"models": {"m": {"arch": "torchvision"}}}, ["m.name is missing"]),
    ("folder without a path", {"datasets": {"d": {"source": "image_folder"}}}, ["path is missing"]),
    (
        "one side",
        {"datasets": {"d": FOLDER | {"size": [32]}}},
        ["d.size is [32]", "height and width"],
    ),
    ("two channels", {"datasets": {"d": FOLDER | {"channels": 2}}}, ["d.channels is 2", "1, 3"]),
    ("mirrors are no list", {"mirrors": "https://a.b"}, ["mirrors is", "write ['https://a.b']"]),
    ("a mirror by ftp", {"mirrors": ["ftp://a.b"]}, ["mirrors[0] is 'ftp://a.b'", "http(s) URL"]),
    ("style", {"figures": {"style": "gplot"}}, ["figures.style is 'gplot'", "nearest is 'ggplot'"]),
    # eps and steps
    ("eps in grey levels", attack(eps=8), ["attacks.a.eps is 8", "0 to 1", "'8/255'"]),
    ("eps fraction above 1", attack(eps="300/255"), ["attacks.a.eps is 300/255", "0 to 1"]),
    ("eps below 0", attack(eps=-0.1), ["attacks.a.eps is -0.1", "0 or more"]),
    ("no eps", {"attacks": {"a": {"kind": "pgd"}}}, ["attacks.a.eps is missing", "'8/255'"]),
    ("eps over 0", attack(eps="8/0"), ["attacks.a.eps is '8/0'", "fraction"]),
    ("eps in words", attack(eps="abc"), ["attacks.a.eps is 'abc'", "fraction"]),
    ("eps as quoted number", attack(eps="0.1"), ["attacks.a.eps is '0.1'", "write 0.1"]),
    ("eps as a sum", attack(eps="8 / 255 + 1"), ["attacks.a.eps is '8 / 255 + 1'"]),
    ("no eps in the list", attack(eps=[]), ["attacks.a.eps is empty", "an ascending list"]),
    ("eps twice", attack(eps=[0.1, 0.1]), ["attacks.a.eps is [0.1, 0.1]"]),
    ("same eps in two ways", attack(eps=[0.2, "1/5"]), ["attacks.a.eps", "ascending", "once"]),
    ("eps descending", attack(eps=[0.2, 0.1]), ["attacks.a.eps is [0.2, 0.1]", "ascending"]),
    ("eps list ends above 1", attack(eps=[0.5, 1.5]), ["attacks.a.eps is [0.5, 1.5]", "0 to 1"]),
    (
        "short steps",
        attack(eps=0.3, steps=10, step=0.01),
        ["attacks.a.step is 0.01", "10 x 0.01", "eps 0.3", "0.03 or more"],
    ),
    ("short steps on a curve", attack(eps=[0.1, 0.4], steps=3, step=0.1), ["eps 0.4", "a.step"]),
    (
        "short step",
        {"attacks": {"a": FGSM | {"step": "1/255"}}},
        ["a.step is 1/255", "0.1 or more"],
    ),
    ("step 0", attack(step=0), ["attacks.a.step is 0", "above 0"]),
    ("norm", attack(norm="l1"), ["attacks.a.norm is 'l1'", "l2, linf"]),
    ("no restarts", attack(restarts=0), ["attacks.a.restarts is 0", "1 or more"]),
    # chosen test images and limits
    (
        "chosen twice",
        split(test_indices="0-9", test_limit=10),
        ["test_indices and test_limit both"],
    ),
    ("chosen and a share", split(test_indices="0-9", test=0.2), ["test_indices and test both"]),
    ("a range that counts down", split(test_indices="9-0"), ["is '9-0', which counts down"]),
    ("no such file", split(test_indices="gone.txt"), ["is 'gone.txt'", "no such file", "'0-999'"]),
    ("a list", split(test_indices=[1, 2]), ["d.split.test_indices is [1, 2]", "a range such as"]),
    ("none of them", split(test_indices={"first": 0}), ["test_indices.first is 0", "1 or more"]),
    (
        "another word",
        split(test_indices={"first": 5, "last": 9}),
        ["last is no known key", "first"],
    ),
    ("fewer than classes", split(train_limit=9), ["train_limit is 9", "has 10 classes", "10 or"]),
    # shares
    ("share of 1", split(test=1), ["datasets.d.split.test is 1", "below 1"]),
    ("share in percent", split(validation=10), ["split.validation is 10", "below 1"]),
    ("share of 0", split(validation=0), ["split.validation is 0", "above 0"]),
    (
        "nothing to train on",
        split(test=0.5, validation=0.5),
        ["test 0.5 and validation 0.5", "sum"],
    ),
    ("limit 0", split(train_limit=0), ["split.train_limit is 0", "1 or more"]),
    ("seed below 0", split(seed=-1), ["datasets.d.split.seed is -1"]),
    # studies
    ("study without settings", {"studies": {"x": None}}, ["studies.x is empty", "a mapping"]),
    ("empty study", {"studies": {"x": {}}}, ["studies.x.defenses is missing", "a list"]),
    ("no attacks", study(attacks=[]), ["studies.quickstart.attacks is empty", "one or more"]),
    ("defense twice", study(defenses=["noise", "noise"]), ["['noise', 'noise']", "each once"]),
    ("seed twice", study(seeds=[1, 1]), ["studies.quickstart.seeds is [1, 1]", "each once"]),
    ("negative seed", study(seeds=[-1]), ["studies.quickstart.seeds[0] is -1"]),
    ("seed as text", study(seeds=["0"]), ["studies.quickstart.seeds[0] is '0'", "write 0"]),
    ("one seed, no list", study(seeds=3), ["studies.quickstart.seeds is 3", "write [3]"]),
    ("unknown dataset", study(datasets=["digit"]), ["datasets[0] is 'digit'", "is 'digits'"]),
    ("unknown model", study(models=["cnn"]), ["studies.quickstart.models[0] is 'cnn'"]),
    (
        "unknown defense name",
        study(defenses=["baseline", "trade"]),
        ["defenses[1] is 'trade'", "is 'trades'"],
    ),
    (
        "unknown attack name",
        study(attacks=["pgd40", "pgd4"]),
        ["attacks[1] is 'pgd4'", "is 'pgd40'"],
    ),
    ("unknown study", {"run": ["quikstart"]}, ["run[0] is 'quikstart'", "is 'quickstart'"]),
    ("nothing to run", {"run": []}, ["run is empty", "one or more"]),
    ("run is no list", {"run": "quickstart"}, ["run is 'quickstart'", "write ['quickstart']"]),
    (
        "transfer from outside the study",
        study(defenses=["noise"], transfer={"source": "baseline", "attacks": ["fgsm"]}),
        ["transfer.source is 'baseline'", "the study's defenses: noise"],
    ),
    (
        "transfer of another attack",
        study(transfer={"source": "baseline", "attacks": ["pgd7"]}),
        ["transfer.attacks[0] is 'pgd7'", "the study's attacks: noise, fgsm, pgd40, curve"],
    ),
    (
        "transfer without draws",
        study(transfer={"source": "baseline", "attacks": ["pgd40"]})
        | {"attacks": {"pgd40": {"loss_draws": 0}}},
        ["transfer.attacks[0] is 'pgd40'", "loss_draws is 0", "1 or more"],
    ),
    (
        "transfer of a curve",
        study(transfer={"source": "baseline", "attacks": ["curve"]}),
        ["transfer.attacks[0] is 'curve'", "single eps"],
    ),
    # defenses
    ("unknown start", defense(kind="standard", init="base"), ["d.init is 'base'", "none, or"]),
    ("no device", training(devices=0), ["training.devices is 0", "1 to 64"]),
    ("too many devices", defense(kind="standard", devices=65), ["d.devices is 65", "1 to 64"]),
    ("apple", {"compute": {"device": "mps"}}, ["compute.device is 'mps'", "auto, cpu, cuda"]),
    ("bounds without a ramp", defense(kind="ibp", eps=0.1), ["d.ramp is 0", "such as 0.5"]),
    ("unknown inner attack", defense(kind="trades", attack="x"), ["d.attack is 'x'"]),
    ("unknown source", defense(kind="static", attack="fgsm", source="x"), ["d.source is 'x'"]),
    ("no inner attack", defense(kind="adversarial"), ["defenses.d.attack is missing"]),
    ("unknown validation attack", training(validation_attack="pgd1"), ["is 'pgd1'", "is 'pgd10'"]),
    (
        "validation by noise",
        training(validation_attack="noise"),
        ["training.validation_attack is 'noise'", "kind is gaussian_noise", "of kind pgd"],
    ),
    ("validation by a curve", training(validation_attack="curve"), ["'curve'", "single eps"]),
    (
        "noise inside adversarial training",
        defense(kind="adversarial", attack="noise"),
        ["defenses.d.attack is 'noise'", "kind is gaussian_noise", "fgsm or pgd"],
    ),
    ("fgsm inside trades", defense(kind="trades", attack="fgsm"), ["is 'fgsm'", "of kind pgd"]),
    ("curve inside", defense(kind="adversarial", attack="curve"), ["is 'curve'", "single eps"]),
    ("restarts inside", defense(kind="trades", attack="pgd40"), ["5 restarts", "restarts: 1"]),
    (
        "curve of example files",
        defense(kind="static", source="baseline", attack="curve"),
        ["defenses.d.attack is 'curve'", "single eps"],
    ),
    ("starts from itself", defense(kind="standard", init="d"), ["d -> d", "init: none"]),
    ("all start from one", training(init="baseline"), ["baseline -> baseline"]),
    (
        "circle of starts",
        {
            "defenses": {
                "a": {"kind": "standard", "init": "b"},
                "b": {"kind": "standard", "init": "c"},
                "c": {"kind": "standard", "init": "a"},
            }
        },
        ["a -> b -> c -> a", "init: none"],
    ),
    (
        "circle through examples",
        {
            "defenses": {
                "a": {"kind": "static", "attack": "fgsm", "source": "b"},
                "b": {"kind": "standard", "init": "a"},
            }
        },
        ["defenses.a", "a -> b -> a"],
    ),
    ("examples of itself", defense(kind="static", attack="fgsm", source="d"), ["d -> d"]),
]


def refusal(config) -> list[str]:
    with pytest.raises(GauntletError) as caught:
        complete(config, SCHEMA)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(("overlay", "fragments"), [case[1:] for case in CASES],
                         ids=[case[0] for case in CASES])  # fmt: skip
def test_one_sentence_says_what_is_wrong_and_what_is_allowed(overlay, fragments):
    sentences = refusal(laid_over(overlay))
    message = [text for text in sentences if all(fragment in text for fragment in fragments)]
    assert message, sentences
    assert all(text.endswith(".") and len(text) < 400 for text in sentences)


def test_a_mistake_is_told_once():
    """A value that fails type, enum and range at once still gives one line."""
    several = {"empty study"}  # it lacks five lists
    for name, overlay, _ in CASES:
        assert len(refusal(laid_over(overlay))) == 1 or name in several, name


@pytest.mark.parametrize(
    "config", [None, [], {}, "run", 1, {"run": None}, {"studies": {"x": None}}]
)
def test_what_is_no_configuration_at_all_is_refused(config):
    assert all("allowed" in text or "missing" in text for text in refusal(config))


def test_many_mistakes_are_told_together_and_end_at_twenty_lines():
    names = {f"a{number}": {"kind": "x"} for number in range(30)}
    sentences = refusal(laid_over({"attacks": names}))
    assert len(sentences) == 20
    assert sentences[-1] == "There are 11 more problems."


def places(value, path=()):
    """List the path of every value of a configuration."""
    yield path
    if isinstance(value, list):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        for key, part in value.items():
            yield from places(part, (*path, key))


NASTY = [
    None, True, 0, -1, 0.5, 2**70, float("nan"), float("inf"), "", "x", "1/0", "8/255", "none",
    "baseline", "a\nb", "\x00", "é" * 300, b"x", [], [[]], [None], ["x", "x"], {}, {"x": None},
    {1: 2},
]  # fmt: skip


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.sampled_from([path for path in places(BASE) if path]), st.sampled_from(NASTY))
def test_any_value_anywhere_is_taken_or_refused_in_words(path, value):
    config = laid_over()
    spot = config
    for part in path[:-1]:
        spot = spot[part]
    spot[path[-1]] = value
    try:
        sentences = [] if complete(config, SCHEMA) else ["nothing"]
    except GauntletError as error:
        sentences = str(error).splitlines()
    assert all(text.endswith(".") for text in sentences)
