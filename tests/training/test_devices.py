"""Training and attacks on every device there is: `make gpu-check` runs these on a GPU."""

import pytest
import torch

from gauntlet.api import attack
from gauntlet.core import threat_models
from gauntlet.training import loop
from tests.helpers import tiny

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
KINDS = {"fgsm": {}, "pgd": {"steps": 5}, "apgd": {"steps": 5}, "gauntlet": {"queries": 20}}
pytestmark = pytest.mark.cuda


def fit(device, arch=tiny.CNN, **change):
    spec = tiny.spec("adversarial", epochs=2, **change) | {"device": device}
    train, held = tiny.part(64), tiny.part(32, 1)
    for part in (train, held):
        part.images, part.labels = part.images.to(device), part.labels.to(device)
    model = tiny.model(arch).to(device)
    return model, loop.fit(model, spec, train, held), held


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("arch", [tiny.CNN, tiny.NORMED], ids=["plain", "batch norm"])
def test_a_training_is_that_of_the_cpu_but_for_rounding(device, arch):
    change = {"optimizer": "sgd", "learning_rate": 0.01}
    wanted = [row["train_loss"] for row in fit("cpu", arch, **change)[1].history]
    found = [row["train_loss"] for row in fit(device, arch, **change)[1].history]
    assert found == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_an_example_is_where_the_images_are_and_inside_the_ball(device, kind):
    model, _, held = fit(device)
    given = KINDS[kind]
    found = attack(model, held.images, held.labels, 0.1, "linf", kind, progress=False, **given)
    assert found.images.device.type == device
    assert threat_models.admissible(found.images, held.images, "linf", 0.1).all()
    with torch.no_grad():
        wrong = model.eval()(found.images).argmax(1) != held.labels
    assert (found.success.to(device) <= wrong).all()
