"""Files of a training and of an attack that broke nothing, as the stages after them read them."""

import json

import numpy as np
import pytest
import torch

from audit_model import audit_model
from gauntlet.core import records
from gauntlet.stages import inputs
from tests.helpers import audited
from tests.helpers.builders import ledger_row, write_table

N = 40
NAMES = {"dataset": "digits", "model": "cnn", "defense": "masked", "seed": 0}
SPEC = {
    **{"model": {}, "seed": 0, "batch": 128, "device": "cpu", "threads": 1, "name": "masked"},
    **{"norm": "linf", "eps": audited.EPS, "images": 40, "budget": dict(audited.BUDGET)},
    **{"attacks": ["pgd"], "transfer": [], "single_step": False, "rerun": True},
    "checks": ["gradients", "finite_differences", "overfitting", "certificates"],
}


@pytest.fixture(scope="module", name="files")
def audit_folder(tmp_path_factory):
    """A folder with data, a training's files, and a ledger in which nothing fell."""
    folder = tmp_path_factory.mktemp("audit")
    train, _, test = audited.digits()
    images = torch.cat([train.images[:300], test.images[:N]])
    np.save(folder / "images.npy", (images * 16).round().to(torch.uint8).numpy())
    labels = torch.cat([train.labels[:300], test.labels[:N]])
    np.save(folder / "labels.npy", labels.numpy())
    meta = {"shape": [1, 8, 8], "classes": list("0123456789"), "max_value": 16, "source": "digits"}
    records.write_json(folder / "data.json", meta)
    split = {"train": list(range(300)), "test": list(range(300, 300 + N))}
    records.write_json(folder / "split.json", split)
    model, history = audited.trained("pgd")
    records.write_rows(folder / "history.csv", history[0], history)
    record = {"selection": "last", "selected_epoch": len(history), "warnings": []}
    records.write_json(folder / "train.json", record)
    predicted = model(test.images[:N]).argmax(1).tolist()
    rows = [
        ledger_row(300 + place, label, eps=audited.EPS, linf=audited.EPS)
        | {"clean_prediction": answer, "adversarial_prediction": answer}
        for place, (label, answer) in enumerate(zip(labels[300:].tolist(), predicted, strict=True))
    ]
    write_table(folder / "ledger.csv", rows)
    return folder


@pytest.fixture(name="model")
def found_model(monkeypatch):
    """Let the stages find a model under its weights' name."""
    found = {"": audited.trained("pgd")[0]}
    monkeypatch.setattr(inputs, "trained_model", lambda spec, meta, weights: found[""])
    return found


def data(folder):
    return {
        **{"images": str(folder / "images.npy"), "labels": str(folder / "labels.npy")},
        **{"meta": str(folder / "data.json"), "split": str(folder / "split.json"), "weights": ""},
    }


def audit(folder, out, certificates=(), **change):
    audit_model(
        **data(folder),
        **{"history": str(folder / "history.csv"), "train": str(folder / "train.json")},
        **{"ledgers": [str(folder / "ledger.csv")], "transfers": []},
        certificates=[str(path) for path in certificates],
        **{"record": str(out / "audit.json"), "page": str(out / "audit.md")},
        **{"found": str(out / "found.csv"), "examples": str(out / "found.npy")},
        spec=SPEC | change,
    )
    return json.loads((out / "audit.json").read_text())
