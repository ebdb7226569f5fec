"""Splits, studies and defenses that contradict themselves or others, and what is said of each."""

from tests.helpers.changes import defense, split, study, training

# name of the case, what is laid over the quickstart, what the sentence must contain
CASES = [
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
