"""`gauntlet.attack`: the three lines, what comes out, and that a model stays as it was."""

import json
import re

import numpy as np
import pytest
import torch
from torch import nn

import gauntlet
from gauntlet.core.threat_models import admissible
from gauntlet.stages.craft import EvalImages, craft
from gauntlet.stages.judge import ledger
from tests.helpers import plain_models
from tests.helpers.places import ROOT

N = 24


@pytest.fixture(scope="module")
def digits():
    """A small network of digits, and test images and labels."""
    return plain_models.network(), *plain_models.test_part(N)


def linear():
    """A linear model of two classes, whose robustness is known: |w x + b| against eps |w|_1."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).double().float()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1.0, -2.0, 0.5, 0.25], [0.0, 0.0, 0.0, 0.0]]))
        model[1].bias.copy_(torch.tensor([0.1, 0.0]))
    return model


def test_the_three_lines_of_the_readme(digits, capsys):
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    (block,) = [block for block in blocks if block.startswith("import gauntlet\n")]
    lines = [line for line in block.splitlines() if line.strip()]
    assert len(lines) == 3 and lines[0] == "import gauntlet"
    model, images, labels = digits
    space = {"model": model, "images": images, "labels": labels}
    exec(block, space)
    result = space["result"]
    assert result.n == N and result.eps == 8 / 255 and result.attack == "gauntlet"
    assert 0 < result.robust_accuracy <= result.clean_accuracy <= 1
    assert f"{result.robust_accuracy}" in capsys.readouterr().out


@pytest.mark.parametrize("attack", ["gauntlet", "pgd", "fgsm", "deepfool"])
def test_a_linear_model_is_attacked_to_the_last_image(attack):
    model = linear()
    images = 0.3 + 0.4 * torch.rand(64, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    gap = (model(images)[:, 0] - model(images)[:, 1]).detach()
    labels, eps = (gap < 0).long(), 0.1
    result = gauntlet.attack(model, images, labels, eps=eps, attack=attack)
    reach = eps * 3.75  # eps times the l1 norm of the weights
    sure = (gap.abs() - reach).abs() > 1e-4
    assert sure.sum() > 50 and 0.1 < result.robust_accuracy < 0.9
    assert torch.equal(result.success[sure], (gap.abs() < reach)[sure])


def test_the_numbers_are_those_of_the_workflow(digits):
    model, images, labels = digits
    asked = {"kind": "pgd", "norm": "linf", "eps": 0.1, "steps": 5, "step": 0.05, "restarts": 2}
    asked |= {"loss": "ce", "random_start": True}
    result = gauntlet.attack(model, images, labels, 0.1, attack="pgd", steps=5, restarts=2, seed=3)
    spec = {"points": [asked], "batch": 128, "precision": "float32", "seed": 3, "loss_draws": 0}
    seen = EvalImages(torch.arange(N), images, labels)
    made = craft(model, spec, seen)
    rows = list(ledger(model, spec, seen, made.examples, "white-box", made))
    assert torch.equal(result.images, made.examples[0])
    assert result.success.int().tolist() == [int(row["success"]) for row in rows]
    assert result.forwards.tolist() == made.forwards[0].tolist()


def test_what_a_result_holds(digits):
    model, images, labels = digits
    result = gauntlet.attack(model, images, labels, eps=0.15, attack="gauntlet", queries=50)
    assert bool(admissible(result.images, images, "linf", 0.15).all())
    with torch.no_grad():
        right, still = (model(x).argmax(1) == labels for x in (images, result.images))
    assert torch.equal(result.success, right & ~still)
    assert torch.equal(result.predictions == labels, still)
    assert result.robust_accuracy == pytest.approx(float((right & still).float().mean()))
    names = {name for name in result.success_by if name}
    assert names <= {"apgd_quick", "apgd_ce", "apgd_t", "square"}
    assert [bool(name) for name in result.success_by] == result.success.tolist()
    assert sum(result.success_counts.values()) == int(result.success.sum()) > 0
    assert float(result.distances["linf"].max()) <= 0.15 * (1 + 1e-6)
    assert result.robust_interval.low < result.robust_accuracy < result.robust_interval.high
    table = result.to_pandas()
    assert len(table) == N and table["success"].sum() == result.success.sum()
    text = str(result)
    assert f"{100 * result.robust_accuracy:.1f} [" in text and "gauntlet" in text and "0.15" in text


def test_arrays_of_numpy_and_small_labels(digits):
    model, images, labels = digits
    ask = {"eps": 0.1, "attack": "pgd", "steps": 3}
    tensors = gauntlet.attack(model, images, labels, **ask)
    arrays = gauntlet.attack(
        model, images.numpy().astype(np.float64), labels.numpy().astype(np.uint8), **ask
    )
    assert torch.equal(tensors.images, arrays.images)


def test_a_seed_decides_and_a_batch_does_not(digits):
    model, images, labels = digits
    ask = {"eps": 0.1, "attack": "pgd", "steps": 2, "restarts": 1}
    first, again = (gauntlet.attack(model, images, labels, **ask) for _ in range(2))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(
        first.images, gauntlet.attack(model, images, labels, seed=1, **ask).images
    )
    small = gauntlet.attack(model, images, labels, batch=8, **ask)
    assert torch.allclose(first.images, small.images, atol=1e-6)


def test_a_model_is_left_as_it_was():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.BatchNorm1d(10), nn.Dropout(0.5))
    model.train()
    model[2].eval()
    model[1].bias.requires_grad_(False)
    images = torch.rand(8, 1, 8, 8, requires_grad=True)
    labels = torch.arange(8)
    model(images).sum().backward()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    gradient, seen = model[1].weight.grad.clone(), images.grad.clone()
    before = torch.random.get_rng_state()
    gauntlet.attack(model, images, labels, eps=0.1, attack="pgd", steps=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert [m.training for m in model] == [True, True, False, True] and model.training
    assert model[1].weight.requires_grad and not model[1].bias.requires_grad
    assert torch.equal(model[1].weight.grad, gradient) and torch.equal(images.grad, seen)
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


def test_a_model_that_fails_is_left_as_it_was(digits):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).train()
    with pytest.raises(ValueError, match="stepz"):
        gauntlet.attack(model, *digits[1:], attack="pgd", stepz=1)
    with pytest.raises(ValueError, match="fails on images of 1x4x4"):
        gauntlet.attack(model, torch.rand(2, 1, 4, 4), torch.tensor([0, 1]))
    assert model.training and model[1].weight.requires_grad


def test_a_function_will_do(digits):
    model, images, labels = digits
    result = gauntlet.attack(
        lambda x: model(x), images, labels, eps=0.1, attack="square", queries=20
    )
    assert result.n == N and int(result.backwards.sum()) == 0


def test_a_function_around_a_module_in_train_mode():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10)).train()
    before = model[1].running_mean.clone()
    gauntlet.attack(lambda x: model(x), *plain_models.test_part(4), eps=0.1, attack="fgsm")
    assert torch.equal(model[1].running_mean, before) and model.training


def test_probabilities_are_pointed_out(digits):
    model, images, labels = digits
    result = gauntlet.attack(lambda x: model(x).softmax(1), images, labels, 0.1, attack="fgsm")
    assert result.note == "outputs are probabilities, not logits"
    assert "Warning: outputs are probabilities" in str(result)


@pytest.mark.parametrize(
    ("attack", "norm", "eps"),
    [("gaussian_noise", "noise", 0.1), ("ddn", "l2", 0.5), ("apgd", "linf", 8 / 255)],
)
def test_norm_and_eps_that_an_attack_has_without_being_asked(digits, attack, norm, eps):
    steps = {} if attack == "gaussian_noise" else {"steps": 5}
    result = gauntlet.attack(*digits, attack=attack, **steps)
    assert (result.norm, result.eps) == (norm, eps)


def test_a_plugin_of_the_user_by_name(digits, tmp_path, monkeypatch):
    folder = tmp_path / "attacks"
    folder.mkdir()
    source = (ROOT / "workflow" / "lib" / "gauntlet" / "attacks" / "fgsm.py").read_text()
    (folder / "mine.py").write_text(source.replace("def fgsm(", "def mine("))
    monkeypatch.setenv("GAUNTLET_PLUGINS", json.dumps([str(tmp_path)]))
    mine = gauntlet.attack(*digits, eps=0.1, attack="mine", step=0.1, random_start=False)
    assert torch.equal(mine.images, gauntlet.attack(*digits, eps=0.1, attack="fgsm").images)


def test_the_progress_bar_is_for_terminals_only(digits, monkeypatch, capsys):
    import io
    import sys

    gauntlet.attack(*digits, eps=0.1, attack="fgsm")
    assert capsys.readouterr().err == ""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for show in (True, False):
        monkeypatch.setattr(sys, "stderr", Terminal())
        monkeypatch.setenv("TERM", "xterm")
        gauntlet.attack(*digits, eps=0.1, attack="fgsm", progress=show)
        assert ("attack fgsm" in sys.stderr.getvalue()) == show
