"""Certificates through the stages: ledgers, spared images, bounds that must not cross."""

import csv
import json
import sys
import types

import numpy as np
import pytest
import torch

from certify_robustness import certify_robustness
from craft_examples import craft_examples
from evaluate_robustness import evaluate_robustness
from gauntlet.certify import Certificate
from gauntlet.core import plugins, records, scoring, tensor_io
from gauntlet.core.errors import GauntletError
from gauntlet.evaluation import certificate_ledger
from gauntlet.stages import certify, craft, partial
from gauntlet.stages.skip_certified import Spared
from gauntlet.training import loop
from tests.helpers import builders, tiny

MLP = {"arch": "mlp", "hidden": [12]}
EPS = (0.22, 0.25)
CROWN = {"kind": "crown", "norm": "linf", "slopes": "adaptive", "intermediate": "crown"}
SMOOTH = {"kind": "smoothing", "norm": "l2", "sigma": 0.25, "n0": 20, "n": 200, "alpha": 0.001}
PGD = {"kind": "pgd", "norm": "linf", "steps": 5, "step": 0.1}


@pytest.fixture(scope="module")
def model():
    fresh = tiny.model(MLP)
    loop.fit(fresh, tiny.spec(epochs=3) | {"model": MLP}, tiny.part(64), tiny.part(32, 1))
    return fresh.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def eval_images():
    made = tiny.part(30, 2)
    labels = made.labels.clone()
    labels[:3] = 1 - labels[:3]
    return craft.EvalImages(torch.arange(200, 230).flip(0), made.images, labels, "tiny")


@pytest.fixture(autouse=True)
def _determinism():
    before = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(before)


def certify_spec(settings=CROWN, eps=EPS, **change):
    points = [settings | {"eps": radius} | change for radius in eps]
    return {"certificate": points, "seed": 0, "batch": 8, "part": "test"}


def craft_spec(eps=EPS, sample=2):
    points = [PGD | {"eps": radius} for radius in eps]
    own = {"part": "test", "precision": "float32", "loss_draws": 1}
    return {"points": points, "seed": 0, "batch": 8, "spare": {"sample": sample}} | own


def write_proof(path, model, spec, eval_images):
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


# The ledger of a certificate


def test_a_ledger_has_every_image_at_every_eps(model, eval_images, tmp_path):
    path = write_proof(
        tmp_path / "crown" / "test" / "ledger.csv", model, certify_spec(), eval_images
    )
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert tuple(rows[0]) == certificate_ledger.COLUMNS and len(rows) == 60
    assert [int(row["index"]) for row in rows[:30]] == eval_images.index.tolist()
    said = scoring.predict(model, eval_images.images).tolist() * 2
    assert [int(row["clean_prediction"]) for row in rows] == said
    assert {row["classifier"] for row in rows} == {"base"}
    proof = certificate_ledger.read_certificate(path)
    assert (proof.certificate, proof.norm, proof.eps) == ("crown", "linf", EPS)
    assert proof.index.tolist() == list(range(200, 230)) and proof.deterministic
    wrong = proof.clean_prediction != proof.label
    assert wrong.sum() >= 3 and (proof.radius[wrong] == 0).all()
    assert proof.covers(EPS[0]).sum() > proof.covers(EPS[1]).sum() > 0


def test_radii_are_those_of_the_plugin_and_reach_the_eps_that_is_proven(model, eval_images):
    plain = certify.prove(model, certify_spec(), eval_images)
    searched = certify.prove(model, certify_spec(radius=True), eval_images)
    assert set(plain.radius.tolist()) <= {0.0, *EPS}
    assert torch.equal(plain.certified, torch.stack([plain.radius >= eps for eps in EPS]))
    assert torch.equal(searched.certified, plain.certified)
    assert (searched.radius >= plain.radius).all() and (searched.radius > plain.radius).any()
    assert ((plain.margin > 0) == plain.certified).all()


def test_smoothing_draws_once_for_all_eps(model, eval_images, monkeypatch):
    spec, calls = certify_spec(SMOOTH, (0.1, 0.3)), []
    real = certify.certify.certify
    monkeypatch.setattr(certify.certify, "certify", lambda *a: calls.append(a) or real(*a))
    found = certify.prove(model, spec, eval_images)
    assert len(calls) == 4  # pools of 8 images, not times two eps
    assert torch.allclose(found.margin[0], found.radius - 0.1)
    assert torch.allclose(found.margin[1], found.radius - 0.3)
    assert torch.equal(found.certified[1], (found.radius > 0) & (found.radius >= 0.3))
    (single,) = certify.prove(model, certify_spec(SMOOTH, (0.3,)), eval_images).certified
    assert torch.equal(single, found.certified[1])
    half = eval_images.select(torch.arange(14, 30))
    part = certify.prove(model, spec | {"batch": 5}, half)
    assert torch.equal(part.radius, found.radius[14:])


def test_an_interrupted_certificate_goes_on_from_its_last_pool(
    model, eval_images, tmp_path, monkeypatch
):
    spec, real, calls = certify_spec(), certify._pool, []
    whole = certify.prove(model, spec, eval_images)

    def interrupted(*given):
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(certify, "_pool", interrupted)
    with pytest.raises(KeyboardInterrupt):
        certify.prove(model, spec, eval_images, tmp_path)
    again = certify.prove(model, spec, eval_images, tmp_path)
    assert len(calls) == 5  # pools of 8, 8, 8 and 6: the last two were left
    assert torch.equal(again.radius, whole.radius) and torch.equal(again.margin, whole.margin)
    next(tmp_path.glob("pool00001.pt")).write_bytes(b"cut")
    assert partial.resumed(tmp_path, 1, ["radius"]) is None


def test_a_model_that_cannot_be_read_gets_a_note_and_no_bound(eval_images, tmp_path):
    class Odd(torch.nn.Module):
        def forward(self, images):
            return torch.fft.rfft(images.flatten(1)).real[:, :2]

    path = write_proof(tmp_path / "c" / "test" / "ledger.csv", Odd(), certify_spec(), eval_images)
    proof = certificate_ledger.read_certificate(path)
    assert "attacks still run" in proof.note and (proof.radius == 0).all()
    assert certificate_ledger.proven([proof], "linf") is None


def test_logits_that_are_no_numbers_name_the_images_place(model, eval_images):
    class Broken(torch.nn.Module):
        def forward(self, images):
            return model(images) * torch.nan

    with pytest.raises(GauntletError, match="image 229 are not finite"):
        certify.prove(Broken(), certify_spec(SMOOTH), eval_images)


def edited(**change):
    return lambda row: row | change


DAMAGE = {
    "no column": (lambda row: {k: v for k, v in row.items() if k != "radius"}, "column 'radius'"),
    "text": (edited(index="x"), "no readable certificate"),
    "twice": (edited(index=200), "other images at one eps"),
    "norm": (edited(norm="l7"), "norm other than"),
    "negative": (edited(radius=-1), "no number of 0 or more"),
    "not finite": (edited(radius="inf"), "no number of 0 or more"),
    "who": (edited(classifier="mine"), "another classifier"),
    "claim": (edited(certified=1, radius=0), "certified image whose radius is below eps"),
    "wrong": (edited(radius=0.5, clean_prediction=9), "the model gets wrong"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_certificates_that_cannot_be_true(case, model, eval_images, tmp_path):
    change, message = DAMAGE[case]
    path = write_proof(tmp_path / "c" / "test" / "ledger.csv", model, certify_spec(), eval_images)
    rows = [change(row) for row in csv.DictReader(path.read_text().splitlines())]
    builders.write_table(path, rows)
    with pytest.raises(GauntletError, match=message) as caught:
        certificate_ledger.read_certificate(path)
    assert "ledger.csv" in str(caught.value)


# Attacks that spare what is certified


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


@pytest.mark.parametrize("error", [ValueError, GauntletError])
def test_a_setting_that_a_certificate_refuses_is_one_sentence(error, model, eval_images):
    def refused(*_, **__):
        raise error("n is 0; allowed is 1 or more.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gauntlet.certify.certify", refused)
        with pytest.raises(GauntletError) as caught:
            certify.prove(model, certify_spec(), eval_images)
    assert str(caught.value) == (
        "The certificate crown cannot be made for this model: n is 0; allowed is 1 or more."
    )


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


# The stages, with a certificate that lies


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


# Evaluation


def proof_rows(n, radius, eps=(0.15,), **other):
    for point in eps:
        for index in range(n):
            mine = float(radius[index])
            row = {"index": index, "label": index % 10, "clean_prediction": index % 10}
            row |= {"classifier": "base", "norm": "linf", "eps": point, "margin": 0, "note": ""}
            row |= {"radius": mine, "certified": int(0 < mine >= point), "abstained": 0}
            yield row | other


def evaluate(folder, tables, certificates):
    """Evaluate ledgers (by attack) with certificates (by name): the rows and the record."""
    made = [str(builders.write_table(folder / f"{n}.csv", rows)) for n, rows in tables.items()]
    proved = [
        str(builders.write_table(folder / n / "test" / "ledger.csv", list(rows)))
        for n, rows in certificates.items()
    ]
    for name, record in (("check", {"passed": True, "reason": ""}), ("train", {"warnings": []})):
        message = record | {"selection": "best", "selected_epoch": 3}
        (folder / f"{name}.json").write_text(json.dumps(message))
    about = [{"name": name, "kind": "crown", "confidence": 1} for name in certificates]
    spec = {"dataset": "d", "model": "m", "defense": "f", "seed": 0, "attacks": list(tables)}
    spec |= {"minimal": [], "transfer": [], "certificates": about}
    outputs = [str(folder / "table.csv"), str(folder / "record.json")]
    checks = [str(folder / "check.json")] * len(tables)
    ask = (made, checks, [], str(folder / "train.json"), *outputs)
    evaluate_robustness(*ask, certificates=proved, spec=spec)
    with open(outputs[0], encoding="utf-8") as stream:
        return list(csv.DictReader(stream)), json.loads((folder / "record.json").read_text())


def attacked(fallen, n=10, **other):
    return [builders.ledger_row(i, i % 10, i in fallen, **other) for i in range(n)]


def test_certified_accuracy_joins_certificates_per_image(tmp_path):
    one = [0.2, 0.2, 0.1, 0, 0, 0, 0, 0, 0, 0]
    two = [0, 0.15, 0.15, 0.15, 0, 0, 0, 0, 0, 0]
    smooth = proof_rows(10, [1.0] * 10, (0.5,), classifier="smoothed", norm="l2")
    proved = {"a": proof_rows(10, one), "b": proof_rows(10, two), "s": smooth}
    tables = {"pgd": attacked({8, 9}), "low": attacked({9}, eps=0.1), "l2": attacked((), norm="l2")}
    rows, record = evaluate(tmp_path, tables, proved)
    held = {(row["attack"], row["norm"]): row["certified_accuracy"] for row in rows}
    assert held == {("pgd", "linf"): "0.4", ("low", "linf"): "0.4", ("l2", "l2"): ""}
    assert all(float(r["certified_low"]) < 0.4 < float(r["certified_high"]) for r in rows[:2])
    message = {proof["certificate"]: proof for proof in record["certificates"]}
    assert [message[name]["rows"][0]["certified_accuracy"] for name in "abs"] == [0.2, 0.3, 1.0]
    assert message["a"]["radii"] == [0.1, 0.2, 0.2]
    assert message["s"]["classifier"] == "smoothed" and message["s"]["accuracy"] == 1.0


def test_a_transferred_example_has_no_interval_of_its_own():
    from gauntlet.evaluation import certified_accuracy

    row = {"access": "transfer", "norm": "linf", "eps": 0.15}
    assert certified_accuracy.certified(row, []) == {}


CROSSED = {
    "same norm and eps": ({"linf": 0.15}, 0.15, True),
    "radius beyond": ({"linf": 0.15}, 0.3, True),
    "radius short of the attack": ({"linf": 0.15}, 0.1499, False),
    "another norm, nearer than the radius": ({"norm": "l2", "eps": 1.0, "linf": 0.1}, 0.11, True),
    "another norm, further": ({"norm": "l2", "eps": 1.0, "linf": 0.2}, 0.11, False),
    "corruption within": ({"norm": "corruptions", "eps": 3, "linf": 0.05}, 0.06, True),
}


@pytest.mark.parametrize("case", CROSSED)
def test_an_example_that_breaks_what_is_proven_fails_the_run(case, tmp_path):
    change, radius, crosses = CROSSED[case]
    tables = {"mine": attacked({4}, **change)}
    proved = {"sure": proof_rows(10, [radius] * 10, (0.1,))}
    if not crosses:
        assert evaluate(tmp_path, tables, proved)
        return
    with pytest.raises(GauntletError) as caught:
        evaluate(tmp_path, tables, proved)
    for message in ("Attack 'mine' succeeds on image 4", "certificate 'sure'", f"linf {radius:g}"):
        assert message in str(caught.value)


def test_a_smoothed_certificate_contradicts_no_attack_on_the_model(tmp_path):
    proved = {"s": proof_rows(10, [1.0] * 10, classifier="smoothed", norm="l2")}
    rows, _ = evaluate(tmp_path, {"mine": attacked({4}, norm="l2", l2=0.1)}, proved)
    assert rows[0]["robust_accuracy"] == "0.9" and rows[0]["certified_accuracy"] == ""


def test_a_certificate_of_another_model_is_refused(tmp_path):
    proved = {"sure": proof_rows(10, np.zeros(10), clean_prediction=3)}
    with pytest.raises(GauntletError, match="differ in 'clean_prediction'"):
        evaluate(tmp_path, {"mine": attacked(())}, proved)


def test_a_model_that_could_not_be_certified_is_told_not_counted(tmp_path):
    proved = {"sure": proof_rows(10, np.zeros(10), note="Certificates do not know 'fft'.")}
    rows, record = evaluate(tmp_path, {"mine": attacked({4})}, proved)
    assert rows[0]["certified_accuracy"] == ""
    assert rows[0]["warning"] == "sure: Certificates do not know 'fft'."
    assert "certified_accuracy" not in record["certificates"][0]["rows"][0]
