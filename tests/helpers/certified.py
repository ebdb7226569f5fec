"""A small trained network, its certificates and attacks as the stages specify them."""

import types

import pytest
import torch

from gauntlet.certify import Certificate
from gauntlet.core import records
from gauntlet.evaluation import certificate_ledger
from gauntlet.stages import certify, craft
from gauntlet.training import loop
from tests.helpers import tiny

MLP = {"arch": "mlp", "hidden": [12]}
EPS = (0.22, 0.25)
CROWN = {"kind": "crown", "norm": "linf", "slopes": "adaptive", "intermediate": "crown"}
PGD = {"kind": "pgd", "norm": "linf", "steps": 5, "step": 0.1}


@pytest.fixture(scope="module", name="model")
def trained() -> torch.nn.Module:
    """Give the network, in eval mode."""
    fresh = tiny.model(MLP)
    loop.fit(fresh, tiny.spec(epochs=3) | {"model": MLP}, tiny.part(64), tiny.part(32, 1))
    return fresh.eval().requires_grad_(False)


@pytest.fixture(scope="module", name="eval_images")
def thirty_images() -> craft.EvalImages:
    """Give images of which three have a label that the network does not give."""
    made = tiny.part(30, 2)
    labels = made.labels.clone()
    labels[:3] = 1 - labels[:3]
    return craft.EvalImages(torch.arange(200, 230).flip(0), made.images, labels, "tiny")


def certify_spec(settings=CROWN, eps=EPS, **change):
    """Give a certificate's spec at every eps."""
    points = [settings | {"eps": radius} | change for radius in eps]
    return {"certificate": points, "seed": 0, "batch": 8, "part": "test"}


def craft_spec(eps=EPS, sample=2):
    """Give an attack's spec at every eps; `sample` certified images are attacked too."""
    points = [PGD | {"eps": radius} for radius in eps]
    own = {"part": "test", "precision": "float32", "loss_draws": 1}
    return {"points": points, "seed": 0, "batch": 8, "spare": {"sample": sample}} | own


def write_proof(path, model, spec, eval_images):
    """Certify images, and write the ledger."""
    found = certify.prove(model, spec, eval_images)
    path.parent.mkdir(parents=True, exist_ok=True)
    records.write_rows(
        path, certificate_ledger.COLUMNS, certify.rows(model, spec, eval_images, found)
    )
    return path


def liar(radius, deterministic=True):
    """Make a plug-in that claims the same radius for all images that are right."""
    module = types.ModuleType("gauntlet.certify.liar")
    module.NORMS, module.DETERMINISTIC = ("linf",), deterministic

    def claim(model, images, labels, *, norm, eps, generator=None):
        right = model(images).argmax(1) == labels
        radii = torch.where(right, radius, 0.0).double()
        return Certificate(radii, radii - eps, right & (radii >= eps), torch.zeros_like(right))

    claim.__module__, module.liar = module.__name__, claim
    return module
