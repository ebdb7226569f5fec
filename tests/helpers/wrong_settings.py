"""Keys, names, kinds and values that no configuration may hold, and what is said of each."""

from tests.helpers.changes import DATASET, PGD, attack, defense, split, study, training
from tests.helpers.overlays import BASE

FOLDER = {"source": "image_folder", "path": "photos"}
FGSM = {"kind": "fgsm", "eps": 0.1}
STUDY = BASE["studies"]["quickstart"]

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
]
