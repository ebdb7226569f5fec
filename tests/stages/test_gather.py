"""Shards: joined they are what one job would have written."""

import numpy as np
import pytest
import torch

from gauntlet.core import scoring
from gauntlet.core.errors import GauntletError
from gauntlet.stages import craft, gather, inputs
from gauntlet.stages import judge as books
from gauntlet.training import loop
from tests.helpers import tiny

POINTS = [
    {"kind": "pgd", "norm": "linf", "eps": eps, "steps": 4, "step": 0.05} for eps in (0.1, 0.25)
]
SPEC = {"points": POINTS, "seed": 0, "batch": 4, "precision": "float32", "loss_draws": 1}


@pytest.fixture(scope="module")
def case():
    model = tiny.model()
    loop.fit(model, tiny.spec(epochs=3), tiny.part(64), tiny.part(32, 1))
    model.eval().requires_grad_(False)
    images = tiny.part(43, 2).images
    return model, craft.EvalImages(torch.arange(43) * 3, images, scoring.predict(model, images))


def _rows(model, spec, eval_images, made):
    return list(books.ledger(model, spec, eval_images, made.examples, "white-box", made))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_shards_are_joined_to_the_bytes_of_one_job(count, case, tmp_path):
    model, eval_images = case
    whole = craft.craft(model, SPEC, eval_images)
    files, rows = [], []
    for number in range(1, count + 1):
        rows_of = inputs.shard_rows({"shard": f"{number}-of-{count}"}, 43)
        made = craft.craft(model, SPEC, eval_images.select(rows_of))
        files.append(str(tmp_path / f"{number}.npy"))
        np.save(files[-1], made.examples.flatten(0, 1).numpy())
        rows.append(_rows(model, SPEC, eval_images.select(rows_of), made))
    gather.join_arrays(files, 2, tmp_path / "joined.npy")
    joined = np.load(tmp_path / "joined.npy")
    assert np.array_equal(joined, whole.examples.flatten(0, 1).numpy())
    blocks = [
        [row for part in rows for row in part if float(row["eps"]) == p["eps"]] for p in POINTS
    ]
    assert blocks[0] + blocks[1] == _rows(model, SPEC, eval_images, whole)


def test_tables_are_joined_eps_by_eps(tmp_path):
    names = []
    for shard, rows in enumerate((["a1", "b1", "a2", "b2"], ["c1", "c2"])):
        names.append(str(tmp_path / f"{shard}.csv"))
        (tmp_path / f"{shard}.csv").write_text("\n".join(["head", *rows]) + "\n")
    gather.join_tables(names, 2, tmp_path / "all.csv")
    assert (tmp_path / "all.csv").read_text().split() == [
        "head",
        *["a1", "b1", "c1", "a2", "b2", "c2"],
    ]


def test_shards_that_do_not_fit_are_named(tmp_path):
    (tmp_path / "a.csv").write_text("head\n1\n2\n3\n")
    with pytest.raises(GauntletError, match=r"a\.csv holds 3 rows.*2 eps"):
        gather.join_tables([str(tmp_path / "a.csv")], 2, tmp_path / "all.csv")
    (tmp_path / "b.csv").write_text("other\n1\n2\n")
    with pytest.raises(GauntletError, match="different columns"):
        gather.join_tables([str(tmp_path / n) for n in ("a.csv", "b.csv")], 1, tmp_path / "x.csv")


def test_an_interrupted_attack_goes_on_from_its_last_pool(case, tmp_path, monkeypatch):
    model, eval_images = case
    whole, real, calls = craft.craft(model, SPEC, eval_images), craft._attacked, []

    def interrupted(*given):
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(craft, "_attacked", interrupted)
    with pytest.raises(KeyboardInterrupt):
        craft.craft(model, SPEC, eval_images, tmp_path)
    assert len(list(tmp_path.glob("pool*.pt"))) == 2 and not list(tmp_path.glob("*.part"))
    made = craft.craft(model, SPEC, eval_images, tmp_path)
    assert len(calls) == 4  # three pools of 16, 16 and 11 images: the third alone was made again
    assert torch.equal(made.examples, whole.examples) and torch.equal(made.draws, whole.draws)
    assert torch.equal(made.forwards, whole.forwards)
