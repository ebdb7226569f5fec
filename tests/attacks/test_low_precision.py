"""What a lower precision costs an attack in strength, beside float32 on the same streams."""

import pytest
import torch
from sklearn.datasets import load_digits

from gauntlet.attacks import bind
from gauntlet.core import plugins
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from gauntlet.core.plugin_facts import facts
from gauntlet.models import build_model
from gauntlet.stages.check_attack import check_attack
from gauntlet.stages.craft import batched_for
from gauntlet.training import loop
from gauntlet.training.loop import Part
from tests.helpers import tiny

EPS = {"linf": 0.12, "l2": 0.5, "l1": 1.5}
NETWORK = {"arch": "article_cnn", "channels": [8, 16], "hidden": 64}
INNER = {"kind": "pgd", "norm": "linf", "eps": 0.12, "steps": 3, "step": 0.06}
SETTINGS = {
    "apgd": {"steps": 20},
    "apgd_t": {"steps": 12, "targets": 3},
    "fgsm": {"step": 1.25, "random_start": True},
    "mifgsm": {"steps": 10, "step": 0.1},
    "pgd": {"steps": 20, "step": 0.125},
}
SURE = {"trained": 1, "very sure": 20}  # what the logits are multiplied by
SLACK = 0.015  # share of the images that an attack may find fewer: what other rounding shifts
UNDECLARED_SLACK = 0.03  # of one that stays in float32 for what it loses
DECLARED = [kind for kind in plugins.available("attacks") if facts("attacks", kind).low_precision]


@pytest.fixture(scope="module")
def network():
    """A network of digits that PGD trained, and test images that it gets right."""
    found = load_digits()
    images = torch.tensor(found.images / 16, dtype=torch.float32)[:, None]
    labels = torch.tensor(found.target)
    spec = tiny.spec("adversarial", epochs=6, batch=64, learning_rate=0.003, selection="last")
    spec["defense"] = spec["defense"] | {"attack": INNER}
    model = build_model(NETWORK, (1, 8, 8), 10, 0)
    loop.fit(model, spec, Part(images[:1000], labels[:1000]), Part(images[-64:], labels[-64:]))
    model.eval().requires_grad_(False)
    images, labels = images[1000:1300], labels[1000:1300]
    right = model(images).argmax(1) == labels
    assert int(right.sum()) >= 200
    return model, images[right], labels[right]


def _settings(kind: str, norm: str) -> dict:
    own = dict(SETTINGS[kind])
    if "step" in own:
        own["step"] *= EPS[norm]
    return {"kind": kind, "norm": norm, "eps": EPS[norm]} | own


def _found(network, settings: dict, precision: str, sure: float) -> int:
    """Count the images on which an attack succeeds, by float32."""
    model, images, labels = network
    batched = BatchedModel(lambda x: model(x) * sure, 128, precision)
    streams = Streams.of_images(0, range(len(labels)), "precision")
    found = bind(settings)(batched, images, labels, streams=streams).images
    return int((model(found).argmax(1) != labels).sum())


@pytest.mark.slow
@pytest.mark.parametrize("sure", SURE)
@pytest.mark.parametrize("kind", sorted({*DECLARED, "pgd", "apgd", "apgd_t"}))
def test_an_attack_finds_as_much_in_a_lower_precision(kind, sure, network):
    assert kind in SETTINGS, f"attacks/{kind}.py says LOW_PRECISION: add how it is measured here"
    count, times = len(network[2]), SURE[sure]
    slack = (SLACK if kind in DECLARED else UNDECLARED_SLACK) * count
    for norm in facts("attacks", kind).get("NORMS"):
        settings = _settings(kind, norm)
        exact = _found(network, settings, "float32", times)
        assert 0.05 * count < exact < 0.95 * count, f"{norm}: nothing is compared"
        for precision in ("bfloat16", "float16"):
            low = _found(network, settings, precision, times)
            assert low >= exact - slack, f"{norm} {precision}: {low}, in float32 {exact}"


WEAK = '''"""PGD that gives up where it is not in float32."""

from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.pgd import pgd
from gauntlet.core.batched_model import as_batched

NORMS = ("linf", "l2")
CHECK_SLACK = 0.1
{declared}


@attack
def weak(model, images, labels, *, streams, norm: str, eps: float, steps: int = 40):
    """Take steps of length 0 in a lower precision."""
    step = 0 if as_batched(model).low_precision else 2.5 * eps / steps
    own = {{"norm": norm, "eps": eps, "steps": steps, "step": step}}
    return pgd(model, images, labels, streams=streams, **own)
'''


@pytest.fixture
def planted(tmp_path, given_back):
    """Write the attack `weak` into a folder of plug-ins; what it says of precision is given."""

    def write(declared: str) -> dict:
        (tmp_path / "attacks").mkdir()
        (tmp_path / "attacks/weak.py").write_text(WEAK.format(declared=declared))
        plugins.use([tmp_path])
        return {"kind": "weak", "norm": "linf", "eps": 0.1, "steps": 40}

    return write


@pytest.mark.parametrize("declared", ["", "LOW_PRECISION = False", "LOW_PRECISION = None"])
def test_an_attack_that_does_not_say_so_is_held_in_float32(planted, declared):
    point = planted(declared)
    assert batched_for(lambda x: x, point, 8, "bfloat16").precision == "float32"
    assert check_attack(point, 64, "bfloat16", torch.device("cpu"))["passed"]


def test_an_attack_that_says_so_and_loses_is_refused(planted):
    point = planted("LOW_PRECISION = True")
    assert batched_for(lambda x: x, point, 8, "bfloat16").precision == "bfloat16"
    assert check_attack(point, 64, "float32", torch.device("cpu"))["passed"]
    record = check_attack(point, 64, "bfloat16", torch.device("cpu"))
    assert not record["passed"] and record["reason"]
