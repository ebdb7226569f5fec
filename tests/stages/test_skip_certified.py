"""Certified images are not attacked, but for a sample; a certificate that lies ends the attack."""

import csv
import sys

import pytest
import torch

from certify_robustness import certify_robustness
from craft_examples import craft_examples
from gauntlet.core import plugins, tensor_io
from gauntlet.core.errors import GauntletError
from gauntlet.stages import craft
from gauntlet.stages.skip_certified import Spared
from tests.helpers import tiny
from tests.helpers.certified import (
    CROWN,
    EPS,
    MLP,
    certify_spec,
    craft_spec,
    liar,
    thirty_images,  # noqa: F401
    trained,  # noqa: F401
    write_proof,
)


def spared(tmp_path, model, eval_images, spec, settings=CROWN):
    path = write_proof(
        tmp_path / "crown" / "test" / "ledger.csv",
        model,
        certify_spec(settings, radius=True),
        eval_images,
    )
    return Spared([str(path)], spec, eval_images.index)


def ledger_of(model, spec, eval_images):
    from gauntlet.stages import judge as books

    made = craft.craft(model, spec, eval_images)
    return list(books.ledger(model, spec, eval_images, made.examples, "white-box", made))


def with_limits(eval_images, limits):
    columns = (eval_images.index, eval_images.images, eval_images.labels, eval_images.origin)
    return craft.EvalImages(*columns, limits)


def test_certified_images_are_not_attacked_and_nothing_else_changes(model, eval_images, tmp_path):
    spec = craft_spec(sample=0)
    message = spared(tmp_path, model, eval_images, spec)
    every = ledger_of(model, spec, eval_images)
    rows = list(message.marked(ledger_of(model, spec, with_limits(eval_images, message.limits()))))
    skipped = 0
    for one, other in zip(every, rows, strict=True):
        radius = message.proven[eval_images.index.tolist().index(one["index"])]
        assert other["certified"] == int(radius >= float(one["eps"]))
        if other["certified"]:
            assert one["success"] == other["success"] == 0
            if float(one["eps"]) == EPS[0]:
                assert other["forwards"] == 0 and one["forwards"] > 0
                assert other["linf"] == "0"
            skipped += 1
        else:
            same = ("success", "adversarial_prediction", "linf", "draw_loss")
            assert [one[name] for name in same] == [other[name] for name in same]
    assert 5 < skipped < 60


def test_a_sample_of_the_certified_is_attacked_all_the_same(model, eval_images, tmp_path):
    spec = craft_spec(sample=2)
    message = spared(tmp_path, model, eval_images, spec)
    limits = message.limits()
    assert ((limits == -1) & torch.from_numpy(message.proven >= EPS[1])).sum() >= 2
    rows = list(message.marked(ledger_of(model, spec, with_limits(eval_images, limits))))
    for eps in EPS:
        here = [row for row in rows if row["certified"] and float(row["eps"]) == eps]
        checked = [row for row in here if row["forwards"] > 0]
        assert 2 <= len(checked) < len(here)
    # whatever the order of the part, the same images are chosen
    turned = eval_images.select(torch.arange(29, -1, -1))
    other = Spared([message.certificates[0].path], spec, turned.index)
    assert torch.equal(other.limits().flip(0), limits)
    seeds = [
        Spared([message.certificates[0].path], spec | {"seed": s}, eval_images.index)
        for s in range(5)
    ]
    assert len({tuple(one.limits().tolist()) for one in seeds}) > 1


def test_nearest_examples_are_sought_only_of_images_that_are_open(model, eval_images, tmp_path):
    spec = craft_spec(sample=0) | {"loss_draws": 0}
    spec["points"] = [{"kind": "fmn", "norm": "linf", "steps": 20, "eps": radius} for radius in EPS]
    message = spared(tmp_path, model, eval_images, spec)
    rows = list(message.marked(ledger_of(model, spec, with_limits(eval_images, message.limits()))))
    far = [row for row in rows if float(row["eps"]) == EPS[1]]
    right = [row for row in far if row["clean_prediction"] == row["label"]]
    assert all((row["forwards"] == 0) == bool(row["certified"]) for row in right)
    assert any(row["certified"] for row in far) and any(row["success"] for row in far)


def test_a_certificate_of_other_images_or_another_norm_spares_nothing(model, eval_images, tmp_path):
    settings = CROWN | {"norm": "l2"}
    assert (spared(tmp_path, model, eval_images, craft_spec(), settings).proven == -1).all()
    path = write_proof(tmp_path / "c" / "test" / "ledger.csv", model, certify_spec(), eval_images)
    with pytest.raises(GauntletError, match="is about other images"):
        Spared([str(path)], craft_spec(), eval_images.index + 1)


@pytest.fixture
def stage(model, tmp_path):
    """Certify with a kind, then attack: all through the stages."""
    files = tiny.data_files(tmp_path)
    tensor_io.save_state(model.state_dict(), tmp_path / "best.pt")
    common = {"model": MLP, "threads": 1, "device": "cpu", "seed": 0, "batch": 8, "part": "test"}
    folder = tmp_path / "runs" / "d" / "m" / "f" / "seed0"

    def go(points, sample=2, eps=EPS):
        proof = folder / "certificates" / "mine" / "test" / "ledger.csv"
        ledger = folder / "attacks" / "pgd" / "test" / "ledger.csv"
        for path in (proof, ledger):
            path.parent.mkdir(parents=True, exist_ok=True)
        weights = str(tmp_path / "best.pt")
        certify_robustness(*files, weights, str(proof), spec=common | {"certificate": points})
        names = [str(ledger.with_name(name)) for name in ("examples.npy", "draws.npy")]
        spec = craft_spec(eps, sample) | common
        craft_examples(*files, weights, *names, str(ledger), [str(proof)], spec=spec)
        return proof, ledger

    return go


def test_stages_certify_then_spare(stage):
    proof, ledger = stage([CROWN | {"eps": eps} for eps in EPS])
    rows = list(csv.DictReader(ledger.read_text().splitlines()))
    assert [row["index"] for row in rows[:32]] == [
        row["index"] for row in csv.DictReader(proof.read_text().splitlines())
    ][:32]
    certified = [row for row in rows if row["certified"] == "1"]
    assert certified and {row["success"] for row in certified} == {"0"}
    assert 0 < sum(row["forwards"] != "0" for row in certified) < len(certified)
    before = proof.read_bytes()
    proof_again, _ = stage([CROWN | {"eps": eps} for eps in EPS])
    assert proof_again.read_bytes() == before  # no seconds in it


def test_a_certified_image_that_falls_in_the_sample_ends_the_attack(stage, monkeypatch):
    module, find = liar(1.0), plugins.find
    monkeypatch.setitem(sys.modules, module.__name__, module)
    path = plugins.LIBRARY / "certify" / "liar.py"
    monkeypatch.setattr(plugins, "find", lambda *who: path if who[1] == "liar" else find(*who))
    claims = [{"kind": "liar", "norm": "linf", "eps": 0.9}]
    message = r"Attack 'pgd' succeeds on image \d+ at linf 0.9, but .*mine/test.*error in Gauntlet"
    with pytest.raises(GauntletError, match=message):
        stage(claims, sample=32, eps=[0.9])
    _, ledger = stage(claims, sample=0, eps=[0.9])  # nobody looks: nothing is seen
    rows = list(csv.DictReader(ledger.read_text().splitlines()))
    assert {row["success"] for row in rows} == {"0"} and any(r["certified"] == "1" for r in rows)
