"""Counted work against real passes of tiny trainings, attacks and certificates."""

import math
from itertools import pairwise

import pytest
import torch
import yaml
from torch import nn

from gauntlet.attacks import bind
from gauntlet.core.image_rng import Streams
from gauntlet.core.plugin_facts import facts
from gauntlet.core.plugins import available
from gauntlet.stages import craft
from gauntlet.study.cost.attack_passes import attack_passes, draw_passes
from gauntlet.study.cost.dataset_sizes import DatasetSizes, dataset_sizes
from gauntlet.study.cost.model_flops import cost_of
from gauntlet.study.cost.work import COUNTERS, ROWS, work_of
from gauntlet.study.job_needs import JobName
from gauntlet.study.job_table import JOBS, spec_of
from gauntlet.study.schema import complete
from tests.helpers.snakes import ROOT
from tests.helpers.tiny import CNN, NORMED, SHAPE, model, spec

CLASSES, PIXELS = 4, 64
SIZES = DatasetSizes(train=48, validation=16, test=24, shape=SHAPE, classes=2)
AREA = {"norm": "linf", "eps": 1e-4}
L2 = {"norm": "l2", "eps": 1e-4}
# Settings under which no image falls: every pass is made. The last number: what may be left out.
FIXED = {
    "fgsm": ({**AREA, "step": 1e-4}, 0),
    "pgd": ({**AREA, "steps": 5, "step": 1e-4, "restarts": 3}, 0),
    "mifgsm": ({**AREA, "steps": 4, "step": 1e-4}, 0),
    "apgd": ({**AREA, "steps": 6, "restarts": 2, "loss": "ce"}, 1),
    "apgd_t": ({**AREA, "steps": 6, "restarts": 2, "targets": 9, "loss": "dlr"}, 0),
    "spsa": ({**AREA, "steps": 3, "samples": 8, "delta": 0.01, "learning_rate": 0.01}, 0),
    "square": ({**AREA, "queries": 30, "restarts": 1, "p_init": 0.8}, 25),
    "spatial": ({"rotation": 1e-4, "shift": 0.0, "grid": [3, 2, 1]}, 0),
    "gaussian_noise": ({"sigma": 1e-5, "draws": 7}, 0),
}
# Where an image is near, more passes are made than where none is: a share of them is foretold.
FEWER = {"gauntlet": ({**AREA, "queries": 20}, 0.65)}
NEAREST = {
    "fab_t": ({**L2, "steps": 5, "restarts": 1, "targets": 9}, 0),
    "fmn": ({**L2, "steps": 9, "restarts": 2}, 0),
    "ddn": ({**L2, "steps": 9, "gamma": 0.05}, 0),
    "cw": ({**L2, "steps": 8, "search_steps": 3, "learning_rate": 0.1, "confidence": 0.0}, 0.5),
    "deepfool": ({**L2, "steps": 4, "overshoot": 0.02, "candidates": 10}, 0.75),
    "rays": ({"norm": "linf", "eps": 1e-4, "queries": 40, "precision": 0.001}, 0),
    "hopskipjump": ({**L2, "steps": 4, "init_evals": 20, "max_evals": 60, "tries": 50}, 0.3),
}


@pytest.fixture(scope="module")
def linear():
    """A sure linear classifier, and images [12, 1, 8, 8] that it gets right."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, CLASSES)).requires_grad_(False)
    network[1].weight *= 20
    images = torch.rand(12, *SHAPE, generator=torch.Generator().manual_seed(1))
    return network.eval(), images, network(images).argmax(1)


def _attempt(linear, kind, settings, **more):
    network, images, labels = linear
    streams = Streams.of_images(0, torch.arange(len(labels)), "costs")
    own = {key: value for key, value in settings.items() if key != "eps" or kind not in NEAREST}
    own |= {"eps": None} if kind == "fab_t" else {}
    return bind({"kind": kind, **own} | more)(network, images, labels, streams=streams)


@pytest.mark.parametrize("kind", FIXED)
def test_passes_of_attacks_that_fell_nothing_are_counted(linear, kind):
    settings, less = FIXED[kind]
    attempt = _attempt(linear, kind, settings)
    message = attack_passes({"kind": kind, **settings}, PIXELS, CLASSES)
    assert not bool(attempt.success_query.any())
    assert message.forwards - less <= int(attempt.forwards.max()) <= message.forwards
    assert message.backwards == int(attempt.backwards.max())


@pytest.mark.parametrize("kind", FEWER)
def test_passes_of_ensembles_that_choose_their_images_are_about_right(linear, kind):
    settings, less = FEWER[kind]
    attempt = _attempt(linear, kind, settings)
    message = attack_passes({"kind": kind, **settings}, PIXELS, CLASSES)
    for name in ("forwards", "backwards"):
        found, foretold = int(getattr(attempt, name).max()), getattr(message, name)
        assert (1 - less) * foretold <= found <= foretold


@pytest.mark.parametrize("kind", NEAREST)
def test_passes_of_attacks_for_the_nearest_example_are_counted(linear, kind):
    settings, less = NEAREST[kind]
    attempt = _attempt(linear, kind, settings)
    message = attack_passes({"kind": kind, **settings}, PIXELS, CLASSES)
    for name in ("forwards", "backwards"):
        found, foretold = float(getattr(attempt, name).double().mean()), getattr(message, name)
        assert (1 - less) * foretold <= found <= foretold


@pytest.mark.parametrize("kind", ["pgd", "apgd", "fgsm", "gaussian_noise"])
def test_passes_of_a_draw_are_counted(linear, kind):
    settings = FIXED[kind][0] | ({"restarts": 1} if kind in ("pgd", "apgd") else {})
    settings |= {"draws": 1} if kind == "gaussian_noise" else {}
    calls = []
    hook = linear[0].register_forward_hook(lambda *_: calls.append(1))
    _attempt(linear, kind, settings, early_stop=False)
    hook.remove()
    message = draw_passes({"kind": kind, **settings}, PIXELS, CLASSES)
    assert len(calls) in (message.forwards - 1, message.forwards)  # which counts its loss too


@pytest.mark.parametrize("kind", available("attacks"))
def test_every_attack_names_its_passes_in_its_own_file(kind):
    known = facts("attacks", kind)
    assert "FORWARDS" in known.constants
    assert ("BACKWARDS" in known.constants) != bool(known.get("GRADIENT_FREE"))
    own = {"kind": kind} | ({"norm": "l2", "eps": 1.0} if "norm" in known.arguments else {})
    branch = _schema()["$defs"][f"attack_{kind}"]["properties"]
    own |= {key: rule["default"] for key, rule in branch.items() if "default" in rule}
    found = attack_passes(own, PIXELS, CLASSES)
    assert found.forwards > 0 and (found.backwards > 0) != bool(known.get("GRADIENT_FREE"))


def _schema():
    path = ROOT / "workflow" / "schemas" / "config.schema.yaml"
    return yaml.safe_load(path.read_text())


def test_passes_of_crafting_are_the_ledgers(linear):
    network, images, labels = linear
    points = [{"kind": "pgd", **FIXED["pgd"][0]} | {"eps": eps} for eps in (1e-4, 2e-4)]
    own = {"points": points, "loss_draws": 2, "part": "test", "model": CNN}
    own |= {"batch": 8, "precision": "float32", "seed": 0}
    made = craft.craft(network, own, craft.EvalImages(torch.arange(12), images, labels))
    sizes = SIZES._replace(test=12, classes=CLASSES)
    whole = work_of("craft_examples", own, sizes)
    attack = work_of("craft_examples", own | {"loss_draws": 0}, sizes)
    judged = work_of("craft_examples", own | {"points": points[:1], "loss_draws": 0}, sizes)
    assert int(made.backwards[-1].sum()) == attack.backwards == 2 * judged.backwards
    assert 0 < attack.forwards - int(made.forwards[-1].sum()) <= 12 * 12  # judging is extra
    assert whole.backwards - attack.backwards == 12 * 2 * 2 * 5
    third = work_of("craft_shard", own | {"shard": "1-of-3"}, sizes)
    assert third.forwards * 3 == pytest.approx(whole.forwards)


GROWING = {
    "epochs": lambda n: work_of("train_model", spec("adversarial", epochs=n), SIZES),
    "images": lambda n: work_of("train_model", spec("trades"), SIZES._replace(train=100 * n)),
    "validation": lambda n: work_of("train_model", spec(), SIZES._replace(validation=100 * n)),
    "steps": lambda n: _crafted({**FIXED["pgd"][0], "steps": n}),
    "restarts": lambda n: _crafted({**FIXED["pgd"][0], "restarts": n}),
    "certified": lambda n: _certified({"kind": "smoothing", "n0": 10, "n": n}),
    "points": lambda n: _certified(*[{"kind": "ibp", "radius": False}] * n),
    "slopes": lambda n: _certified(
        {"kind": "crown", "slopes": "alpha", "steps": n, "intermediate": "crown"}
    ),
}


def _crafted(settings):
    own = {"points": [{"kind": "pgd", **settings}], "part": "test", "loss_draws": 0, "model": CNN}
    return work_of("craft_examples", own, SIZES)


def _certified(*points):
    own = {"certificate": list(points), "part": "test", "model": CNN}
    return work_of("certify_robustness", own, SIZES)


@pytest.mark.parametrize("what", GROWING)
def test_work_grows_with(what):
    efforts = [GROWING[what](size).effort for size in (1, 2, 5, 20)]
    assert all(after > before for before, after in pairwise(efforts))


NETWORKS = [CNN, NORMED, {"arch": "mlp", "hidden": [20, 10]}]
NETWORKS += [{"arch": "wide_resnet", "depth": 16, "factor": factor} for factor in (1, 2)]
NETWORKS += [{"arch": "vit_tiny", "patch": 3, "depth": 2, "heads": 1}]


@pytest.mark.parametrize("settings", NETWORKS, ids=lambda settings: settings["arch"])
def test_multiply_adds_and_parameters_of_networks_are_counted(settings):
    found, network = [0], model(settings, classes=3)

    def count(layer, _, made):
        weights = layer.weight[0].numel()
        found[0] += weights * made[0].numel()

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    network.eval()(torch.rand(1, *SHAPE))
    message = cost_of(settings, SHAPE, 3)
    assert message.macs == found[0]
    held = sum(p.numel() for p in network.parameters() if p.dim() > 1)
    assert message.parameters == held


def test_a_declared_network_costs_what_it_says():
    layers = [
        {"layer": "conv2d", "channels": 4, "kernel": 3, "padding": 1, "stride": 1}
        | {"dilation": 1, "groups": 1},
        {"layer": "relu"},
        {"layer": "max_pool2d", "kernel": 2, "stride": None, "padding": 0},
        {"layer": "flatten"},
        {"layer": "linear", "features": 5},
    ]
    message = cost_of({"arch": "declared", "layers": layers}, SHAPE, 5)
    assert message.macs == 9 * 4 * 64 + 64 * 5
    twice = [{"layer": "residual", "layers": layers[:2], "shortcut": layers[:2]}, *layers[2:]]
    assert cost_of({"arch": "declared", "layers": twice}, SHAPE, 5).macs == 9 * 8 * 64 + 64 * 5
    unknown = cost_of({"arch": "factory", "factory": "mine:net"}, (3, 224, 224), 5)
    assert math.isclose(unknown.macs, 1.814e9)


def test_dataset_sizes_are_those_of_the_split():
    whole = {"test": None, "validation": 0.1, "train_limit": None, "validation_limit": 50}
    found = dataset_sizes({"source": "mnist", "split": whole | {"test_limit": 100}})
    assert found == DatasetSizes(54000, 50, 100, (1, 28, 28), 10)
    digits = dataset_sizes({"source": "sklearn_digits", "split": whole | {"test_limit": None}})
    assert (digits.train, digits.test, digits.pixels) == (1294, 359, 64)


def test_every_rule_with_a_network_is_counted():
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    filled = complete(config, ROOT / "workflow" / "schemas" / "config.schema.yaml")
    sizes = dataset_sizes(filled["datasets"]["digits"])
    names = {"dataset": "digits", "model": "article_cnn", "defense": "pgd_at", "seed": "0"}
    names |= {"study": "quickstart", "attack": "pgd40", "part": "test", "source": "baseline"}
    for rule in (*COUNTERS, *ROWS, "check_attacks"):
        if set(JOBS[rule].names) <= set(names) and rule != "import_model":
            own = spec_of(filled, JobName(rule, names))
            assert work_of(rule, own, sizes).effort > 0, rule
