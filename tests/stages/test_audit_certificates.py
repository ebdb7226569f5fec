"""Certificates in an audit: what clashes with an attack ends the run, a bad file is named."""

import csv
import shutil

import pytest

from gauntlet.core.errors import GauntletError
from tests.helpers.audit_files import audit, audit_folder, found_model  # noqa: F401
from tests.helpers.builders import write_table

CERTIFIED = {"classifier": "base", "norm": "linf", "eps": 0.05, "margin": 0.1, "certified": 1}
CERTIFIED |= {"radius": 0.05, "abstained": 0, "note": ""}


def certificate(path, ledger, **change):
    """Write a certificate of the images in a ledger."""
    seen = csv.DictReader(ledger.open())
    rows = [
        {name: row[name] for name in ("index", "label")}
        | {"clean_prediction": row["label"]}
        | CERTIFIED
        | change
        for row in seen
    ]
    return write_table(path, rows)


def fallen_ledger(files, out, label=3, far=0.04):
    """Write a ledger in which the image at place 300 falls to an example as near as `far`."""
    rows = list(csv.DictReader((files / "ledger.csv").open()))
    label = int(rows[0]["label"])
    rows[0] |= {"clean_prediction": label, "adversarial_prediction": (label + 1) % 10}
    rows[0] |= {"success": 1, "linf": far}
    shutil.copytree(files, out)
    write_table(out / "ledger.csv", rows)
    return out


@pytest.mark.parametrize(("far", "clash"), [(0.04, True), (0.06, False)])
def test_a_certified_image_that_fell_ends_the_run(files, model, tmp_path, far, clash):
    folder, out = fallen_ledger(files, tmp_path / "fallen", far=far), tmp_path
    none = {"certified": 0, "radius": 0.0}
    proof = certificate(tmp_path / "proof.csv", folder / "ledger.csv", **none)
    rows = list(csv.DictReader(proof.open()))
    rows[0] |= {"certified": 1, "radius": 0.05}
    write_table(proof, rows)
    if clash:
        with pytest.raises(GauntletError, match="Image 300 is certified by .* at linf"):
            audit(folder, out, [proof])
    else:
        record = audit(folder, out, [proof])
        assert record["findings"][-1]["evidence"] == {"certified_images": 1, "contradictions": 0}


def test_a_smoothed_classifiers_certificate_says_nothing_of_the_model(files, model, tmp_path):
    proof = certificate(tmp_path / "proof.csv", files / "ledger.csv", classifier="smoothed")
    record = audit(files, tmp_path, [proof])
    assert record["findings"][-1]["verdict"] == "skipped"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index,label\n1,2\n", "proof.csv lacks the column"),
        ("index,label\n1,x\n", "proof.csv is no readable certificate"),
    ],
)
def test_a_bad_certificate_is_named(files, model, tmp_path, text, message):
    path = tmp_path / "proof.csv"
    path.write_text(text)
    with pytest.raises(GauntletError, match=message):
        audit(files, tmp_path, [path])
