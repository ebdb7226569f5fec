"""Stages of steps before a model, on files: attacks that do not know a step, and that do."""

import csv
import json

import numpy as np
import pytest
import torch

from attack_preprocess import attack_preprocess
from fit_preprocess import fit_preprocess
from gauntlet.attacks import bind
from gauntlet.core import records
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.errors import GauntletError
from gauntlet.evaluation import step_ledger
from gauntlet.stages import inputs, partial
from preprocess_examples import preprocess_examples
from publish_preprocess import publish_preprocess
from tests.helpers import audited

N, TRAIN, VALIDATION, EPS = 48, 120, 60, 0.1
BASE = {"model": {}, "seed": 0, "batch": 32, "device": "cpu", "threads": 1}
FAST = {"kind": "adaptive", "norm": "linf", "eps": EPS, "steps": 12, "restarts": 1, "queries": 30}
PGD = {"kind": "pgd", "norm": "linf", "eps": EPS, "steps": 15, "step": 0.02}
NAMES = {"dataset": "digits", "model": "cnn", "defense": "plain", "seed": 0, "preprocess": "mine"}
STEPS = {
    "bits": ({"kind": "bit_depth", "bits": 2}, {"straight_through": True}, 1),
    "smooth": ({"kind": "total_variation", "weight": 0.05, "steps": 5}, {}, 1),
    "resize": ({"kind": "random_resize", "least": 0.8}, {"samples": 4}, 6),
    "squeeze": (
        {"kind": "feature_squeezing", "window": 1, "rate": 0.2},
        {"straight_through": True},
        1,
    ),
    "denoise": ({"kind": "denoising_autoencoder", "channels": 8, "epochs": 15, "batch": 16}, {}, 1),
}
FITTED = ("squeeze", "denoise")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with data, and with examples that were made against the model alone."""
    folder = tmp_path_factory.mktemp("steps")
    train, validation, test = audited.digits()
    parts = ((train, TRAIN), (validation, VALIDATION), (test, N))
    images = torch.cat([part.images[:count] for part, count in parts])
    labels = torch.cat([part.labels[:count] for part, count in parts])
    np.save(folder / "images.npy", (images * 16).round().to(torch.uint8).numpy())
    np.save(folder / "labels.npy", labels.numpy())
    meta = {"shape": [1, 8, 8], "classes": list("0123456789"), "max_value": 16, "source": "digits"}
    records.write_json(folder / "data.json", meta)
    ends = np.cumsum([0, TRAIN, VALIDATION, N]).tolist()
    split = {
        name: list(range(ends[place], ends[place + 1]))
        for place, name in enumerate(("train", "validation", "test"))
    }
    records.write_json(folder / "split.json", split)
    model = audited.trained("plain")[0]
    for name, rows in (("examples", split["test"]), ("crafted", split["train"])):
        made = bind(PGD)(BatchedModel(model), images[rows], labels[rows], early_stop=False)
        np.save(folder / f"{name}.npy", made.images.numpy())
    np.save(folder / "none.npy", images[:0].numpy())
    return folder


@pytest.fixture(autouse=True)
def model(monkeypatch):
    """Let the stages find the model without a file of weights."""
    found = audited.trained("plain")[0]
    monkeypatch.setattr(inputs, "trained_model", lambda spec, meta, weights: found)
    return found


def data(folder):
    names = {"images": "images.npy", "labels": "labels.npy", "meta": "data.json"}
    names["split"] = "split.json"
    return {name: str(folder / file) for name, file in names.items()} | {"weights": ""}


def spec_of(name: str) -> dict:
    step, attack, draws = STEPS[name]
    shown = [{"name": "pgd", "points": [{"norm": "linf", "eps": EPS}], "drawn": False}]
    own = {"preprocess": step, "draws": draws, "part": "test", "attacks": shown}
    return BASE | own | {"points": [FAST | attack]}


def fitted(folder, out, name: str) -> list[str]:
    if name not in FITTED:
        return []
    crafted = [str(folder / "crafted.npy")] if name == "denoise" else []
    paths = {"step": str(out / "step.pt"), "record": str(out / "fit.json")}
    fit_preprocess(
        **data(folder), crafted=crafted, **paths, spec=BASE | {"preprocess": STEPS[name][0]}
    )
    return [paths["step"]]


def naive(folder, out, step, name: str) -> str:
    path, shown = str(out / "naive.csv"), [str(folder / "examples.npy")]
    given = {"step": step, "examples": shown, "draws": [str(folder / "none.npy")]}
    preprocess_examples(**data(folder), **given, ledger=path, spec=spec_of(name))
    return path


def adaptive(folder, out, step, name: str, keep=None, **change) -> str:
    paths = {"examples": str(out / "examples.npy"), "ledger": str(out / "adaptive.csv")}
    spec = spec_of(name)
    spec["points"] = [point | change for point in spec["points"]]
    attack_preprocess(**data(folder), step=step, **paths, spec=spec, keep=keep)
    return paths["ledger"]


def publish(out, blind: str, through: str) -> dict:
    spec = {"study": "tiny", "rows": [NAMES], "threats": [["linf", EPS]]}
    paths = {name: str(out / f"preprocess.{end}") for name, end in ENDS.items()}
    publish_preprocess([blind], [through], **paths, spec=spec)
    return json.loads((out / "preprocess.json").read_text())["rows"][0]


ENDS = {"rows": "json", "table": "csv", "page": "md"}


@pytest.mark.parametrize("name", STEPS)
def test_an_attack_through_the_step_leaves_less_than_one_that_does_not_know_it(
    name, files, tmp_path
):
    step = fitted(files, tmp_path, name)
    blind, through = naive(files, tmp_path, step, name), adaptive(files, tmp_path, step, name)
    row = publish(tmp_path, blind, through)
    assert row["n"] == N and row["clean_accuracy"] > 0.6
    assert row["adaptive_accuracy"] <= row["naive_accuracy"]
    assert row["adaptive_alone"] < row["naive_accuracy"] and not row["warning"]
    assert row["without_step"] < row["clean_without_step"]
    made = np.load(tmp_path / "examples.npy")
    clean = np.load(files / "images.npy")[-N:] / np.float32(16)
    assert made.shape == (N, 1, 8, 8) and np.abs(made - clean).max() <= EPS * (1 + 1e-6)
    assert made.min() >= 0 and made.max() <= 1
    assert "| mine" in (tmp_path / "preprocess.md").read_text()
    with open(tmp_path / "preprocess.csv", newline="") as stream:
        (line,) = csv.DictReader(stream)
    assert float(line["adaptive_accuracy"]) == row["adaptive_accuracy"]


def test_a_violated_order_fails_the_run_and_writes_nothing(files, tmp_path, monkeypatch):
    """Who knows the step can show the naive examples too: a higher number must not be published."""
    blind, through = (make(files, tmp_path, [], "bits") for make in (naive, adaptive))
    rows = [row | {"right": row["clean"]} for row in records.read_rows(through)]
    records.write_rows(through, rows[0], rows)  # an attack that found nothing
    assert publish(tmp_path, blind, through)["warning"]
    for path in tmp_path.glob("preprocess.*"):
        path.unlink()
    monkeypatch.setattr(step_ledger, "worst_of_both", lambda alone, known: alone)
    with pytest.raises(
        GauntletError, match="adaptive accuracy .* above the naive one .*at most that"
    ):
        publish(tmp_path, blind, through)
    assert not list(tmp_path.glob("preprocess.*"))


def test_random_steps_are_judged_by_shares_of_draws(files, tmp_path):
    table = records.read_rows(naive(files, tmp_path, [], "resize"))
    shares = {float(row["clean"]) for row in table} | {float(row["right"]) for row in table}
    assert shares <= {round(k / 6, 7) for k in range(7)} and len(shares) > 3


def test_a_detector_counts_rejections(files, tmp_path):
    step = fitted(files, tmp_path, "squeeze")
    table = records.read_rows(naive(files, tmp_path, step, "squeeze"))
    rejected = [row for row in table if float(row["rejected_clean"])]
    assert 0 < len(rejected) < N / 2
    assert all(float(row["clean"]) == 0 for row in rejected)
    record = json.loads((tmp_path / "fit.json").read_text())
    assert record["rejected_validation"] == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("name", ["bits", "resize", "squeeze"])
def test_an_interrupted_attack_goes_on_to_the_same_bytes(name, files, tmp_path, monkeypatch):
    step = fitted(files, tmp_path, name)
    monkeypatch.setattr("gauntlet.stages.step_attack.POOL", 1)
    whole, keep = tmp_path / "whole", tmp_path / "keep"
    whole.mkdir(), keep.mkdir()
    few = {"steps": 2, "queries": 2}
    adaptive(files, whole, step, name, **few)
    kept = partial.save

    def killed(folder, number, state):
        kept(folder, number, state)
        if number == 0:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(partial, "save", killed)
        adaptive(files, tmp_path, step, name, keep, **few)
    adaptive(files, tmp_path, step, name, keep, **few)
    for file in ("examples.npy", "adaptive.csv"):
        assert (tmp_path / file).read_bytes() == (whole / file).read_bytes()


def test_examples_of_another_part_are_refused(files, tmp_path):
    np.save(tmp_path / "short.npy", np.load(files / "examples.npy")[:5])
    given = {"step": [], "draws": [str(files / "none.npy")], "ledger": str(tmp_path / "n.csv")}
    with pytest.raises(GauntletError, match=r"short.npy holds examples of shape \[5, 1, 8, 8\]"):
        preprocess_examples(
            **data(files), examples=[str(tmp_path / "short.npy")], **given, spec=spec_of("bits")
        )


def test_examples_outside_the_ball_say_nothing(files, tmp_path):
    far = tmp_path / "far.npy"
    np.save(far, 1 - np.load(files / "images.npy")[-N:] / np.float32(16))
    given = {"step": [], "draws": [str(files / "none.npy")], "ledger": str(tmp_path / "n.csv")}
    preprocess_examples(**data(files), examples=[str(far)], **given, spec=spec_of("bits"))
    rows = records.read_rows(tmp_path / "n.csv")
    assert all(row["right"] == row["clean"] and float(row["linf"]) == 0 for row in rows)


def test_a_file_of_another_step_is_one_sentence(files, tmp_path):
    step = fitted(files, tmp_path, "denoise")
    with pytest.raises(GauntletError, match="step.pt does not fit the step"):
        naive(files, tmp_path, step, "bits")


def test_the_model_and_its_mode_are_left_as_they_were(files, tmp_path, model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    flags = [(weight.requires_grad, model.training) for weight in model.parameters()]
    adaptive(files, tmp_path, fitted(files, tmp_path, "denoise"), "denoise")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert flags == [(weight.requires_grad, model.training) for weight in model.parameters()]
