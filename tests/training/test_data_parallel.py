"""Processes that share a training: what one process gives, whole or not at all."""

import pytest
import torch

from gauntlet.core.errors import GauntletError
from gauntlet.core.rng import Shared, generator, normal_like
from gauntlet.core.signals import Saved
from gauntlet.stages import train_launcher, train_worker
from gauntlet.training.data_parallel import SingleProcess
from gauntlet.training.loop import NonFiniteLoss, Outcome
from tests.helpers import snakes, tiny, together
from tests.helpers.together import same

ALONE = ("free",)  # which the configuration refuses for several devices
SMOOTH = [*(name for name in tiny.DEFENSES if name not in ALONE), "ramp"]
SMOOTH += ["watched", "averaged", "mixed"]  # no batch norm, which makes of a last bit what it likes
TWO = [*SMOOTH, "normed", "frozen", "bfloat16", "dropout", "no number"]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return together.run(tmp_path_factory.mktemp("group") / "two", 2, TWO)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return together.run(tmp_path_factory.mktemp("group") / "three", 3, ["trades", "dropout"])


def _close(shared, one):
    for ours, theirs in zip(shared["history"], one["history"], strict=True):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], abs=1e-5)
        for key in (key for key in ours if key.startswith("validation")):
            assert ours[key] == pytest.approx(theirs[key], abs=1.5 / 25), key
    for name, value in one["last"].items():
        assert torch.allclose(shared["last"][name], value, atol=1e-5), name


@pytest.mark.slow
@pytest.mark.parametrize("case", SMOOTH)
def test_two_processes_train_as_one_does(two, case):
    _close(two[0][case], vars(together.fit(case)))


@pytest.mark.slow
def test_so_do_three(three):
    _close(three[0]["trades"], vars(together.fit("trades")))


@pytest.mark.slow
def test_all_processes_have_the_same_model(two, three):
    for group in (two, three):
        for case in group[0].keys() & together.CASES.keys() - {"no number"}:
            for other in group[1:]:
                same(group[0][case], other[case])


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 33])
def test_batch_norm_has_the_whole_batch_in_each_process(two, three, count):
    """Of three processes one has no image of a batch of two."""
    one = together.gradients(SingleProcess(), count)
    for found in (*two, *three):
        shared = found[f"gradients {count}"]
        assert shared.keys() == one.keys()
        for name, value in one.items():
            assert torch.allclose(shared[name], value, rtol=1e-9, atol=1e-10), name


@pytest.mark.slow
def test_each_process_drops_out_units_of_its_own(two, three):
    losses = [found[0]["dropout"]["history"][0]["train_loss"] for found in (two, three)]
    assert len({*losses, vars(together.fit("dropout"))["history"][0]["train_loss"]}) == 3


@pytest.mark.slow
@pytest.mark.parametrize("case", ["normed", "dropout"])
def test_stopped_again_and_again_it_ends_with_the_same_bytes(two, three, case):
    for group in (two, three) if case in three[0] else (two,):
        assert group[0][f"{case} stops"] >= 3
        same(group[0][f"{case} again"], group[0][case])


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_all(two):
    assert [found["no number"] for found in two] == [1, 1]


def test_a_part_draws_its_rows_of_what_the_batch_draws():
    whole = normal_like(torch.zeros(10, 3), generator(0, "x"))
    stream = Shared(generator(0, "x"), slice(4, 7), 10)
    assert torch.equal(normal_like(torch.zeros(3, 3), stream), whole[4:7])
    with pytest.raises(ValueError, match="2 images draw where the batch's part has 3"):
        normal_like(torch.zeros(2, 3), stream)


ENDS = [
    (None, {"done": True}, None),
    (NonFiniteLoss(4, Outcome(best_epoch=3)), {"not_finite": 4}, NonFiniteLoss),
    (Saved(15), {"stopped": 15}, Saved),
]


@pytest.mark.parametrize(("raised", "report", "again"), ENDS, ids=["done", "not finite", "saved"])
def test_how_a_training_ends_reaches_the_job(raised, report, again, tmp_path, monkeypatch):
    def fit_files(*_):
        if raised:
            raise raised
        return Outcome(best={"w": torch.ones(2)}, history=[{"epoch": 1}], best_epoch=1)

    monkeypatch.setattr(train_worker, "fit_files", fit_files)
    outcome, message = train_worker._fit({"keep": None, "files": {}, "spec": {}}, None, None)
    assert message == report
    torch.save(vars(outcome), tmp_path / train_launcher.OUTCOME)
    try:
        same(vars(train_launcher._result(message | {"rank": 0}, tmp_path)), vars(outcome))
        assert again is None
    except (NonFiniteLoss, Saved) as error:
        assert type(error) is again and str(error) == str(raised)
        assert again is Saved or error.outcome.best_epoch == 3


def test_any_other_failure_says_whose_it_is(tmp_path):
    broken = {"failed": "KeyError: 1", "ours": False, "trace": "line 3", "rank": 1}
    with pytest.raises(RuntimeError, match="process 1 of a shared training: KeyError") as caught:
        train_launcher._result(broken, tmp_path)
    assert caught.value.__notes__ == ["line 3"]


def test_more_devices_than_the_job_has_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    spec = tiny.spec(devices=2) | {"device": "cuda"}
    with pytest.raises(GauntletError, match="devices is 2, but this job has 1 of kind cuda"):
        train_launcher.fit_shared({}, spec, None)


@pytest.mark.workflow
def test_a_dry_run_shows_gpus_and_threads(tmp_path):
    change = {"defenses": {"pgd_at": {"devices": 2}}, "compute": {"threads": 3}}
    home, shown = snakes.house(tmp_path / "house"), {}
    for device in ("cpu", "cuda"):
        study = snakes.merged(snakes.STUDY, change | {"compute": {"threads": 3, "device": device}})
        text = snakes.snakemake(home, "-n", "--resources", "gpu=8", study=study, cores=16)
        for block in text.split("\nrule ")[1:]:
            if block.startswith("train_model:"):
                defense = block.split("defense=")[1].split(",")[0]
                threads, gpus = (block.split(word)[1].split()[0] for word in ("threads:", "gpu="))
                shown[device, defense] = threads, gpus.rstrip(",")
    assert shown["cpu", "pgd_at"] == ("6", "0") and shown["cpu", "baseline"] == ("3", "0")
    assert shown["cuda", "pgd_at"] == ("6", "2") and shown["cuda", "baseline"] == ("3", "1")
