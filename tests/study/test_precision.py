"""What `compute.precision: auto` comes to: where it is measured, and for which attacks."""

import json
import os
import subprocess
import sys

import pytest

from gauntlet.core.plugins import available
from gauntlet.study import own_plugins, precision, specs
from gauntlet.study.cost.resources import Sizes
from gauntlet.study.plan import Plan
from tests.helpers.bench import RUN, Bench, config_of, crafted
from tests.helpers.places import LIBRARY


@pytest.fixture
def bench(monkeypatch, tmp_path):
    """A machine with flags of its own, that answers questions about speed, and says how often."""
    return Bench(monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("speedup", "chosen"),
    [(2.0, "bfloat16"), (1.16, "bfloat16"), (1.14, "float32"), (0.5, "float32")],
)
def test_a_lower_precision_is_taken_where_it_is_clearly_faster(bench, speedup, chosen):
    bench.speedup = speedup
    assert crafted() == chosen
    (question,) = bench.asked
    assert question["shape"] == [1, 8, 8] and question["classes"] == 10
    assert (question["batch"], question["threads"], question["device"]) == (128, 1, "cpu")
    assert question["model"]["arch"] == "article_cnn"


def test_other_threads_batches_shapes_networks_and_machines_are_other_questions(bench):
    crafted()
    crafted(compute={"threads": 2})
    crafted(compute={"batch": 64})
    wider = {"models": {"article_cnn": {"arch": "article_cnn", "hidden": 300}}}
    crafted(**wider)
    larger = {"datasets": {"digits": {"source": "mnist", "split": {"seed": 0}}}}
    crafted(**larger)
    assert len(bench.asked) == 5
    bench.plans_in("another")
    bench.has("fpu amx_bf16", "2")
    crafted()
    assert len(bench.asked) == 6


@pytest.mark.parametrize(
    ("flags", "device", "asked"),
    [
        ("fpu amx_bf16 avx2", "cpu", 1),
        ("fpu avx512_bf16", "cpu", 1),
        ("fpu avx2", "cuda", 1),
        ("fpu avx2", "cpu", 0),
    ],
)
def test_what_cannot_multiply_it_natively_is_not_measured(bench, flags, device, asked):
    bench.has(flags)
    chosen = crafted(compute={"device": device})
    assert chosen == ("bfloat16" if asked else "float32") and len(bench.asked) == asked


@pytest.mark.parametrize("wanted", ["float32", "bfloat16", "float16"])
def test_what_is_asked_for_by_name_is_not_measured(bench, wanted):
    bench.has("fpu avx2")
    assert crafted(compute={"precision": wanted}) == wanted and not bench.asked
    check = specs.check_spec(config_of(compute={"precision": wanted}), "pgd40")
    assert check["precision"] == wanted


KINDS = {
    "square": {"kind": "square", "norm": "linf", "eps": 0.1},
    "spsa": {"kind": "spsa", "norm": "linf", "eps": 0.1},
    "hopskipjump": {"kind": "hopskipjump", "norm": "l2", "eps": 1},
    "noise": {"kind": "gaussian_noise", "sigma": 0.1},
    "fab_t": {"kind": "fab_t", "norm": "linf", "eps": 0.1},
    "cw": {"kind": "cw", "eps": 1},
    "fmn": {"kind": "fmn", "norm": "linf", "eps": 0.1},
    "adaptive": {"kind": "adaptive", "norm": "linf", "eps": 0.1},
}


@pytest.mark.parametrize("wanted", ["auto", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_attack_that_may_lose_by_it_is_float32(bench, kind, wanted):
    """Without gradients, on the way to the nearest example, or not declared to lose nothing."""
    overlay = {"attacks": {"a": KINDS[kind]}, "compute": {"precision": wanted}}
    assert crafted("a", **overlay) == "float32" and not bench.asked
    assert specs.check_spec(config_of(**overlay), "a")["precision"] == "float32"


def test_kinds_that_are_declared_are_those_that_were_measured():
    from gauntlet.core.plugin_facts import facts

    declared = {kind for kind in available("attacks") if facts("attacks", kind).low_precision}
    assert declared >= {"fgsm", "pgd", "mifgsm"}
    assert not declared & {*KINDS, "gaussian_noise", "ddn", "deepfool", "spatial", "corruptions"}


def test_networks_and_images_that_are_not_known_are_float32(bench):
    outside = {"models": {"given": {"arch": "onnx", "weights": "a.onnx"}}}
    assert crafted(run=("digits", "given", "as_given", 0), **outside) == "float32"
    factory = {"models": {"article_cnn": {"arch": "factory", "factory": "mine:make"}}}
    assert crafted(**factory) == "float32"
    folder = {"datasets": {"digits": {"source": "image_folder", "path": "here"}}}
    assert crafted(**folder) == "float32"
    assert not bench.asked


def test_off_measures_nothing(bench):
    bench.patch.setenv(precision.CACHE, "off")
    assert crafted() == "float32" and not bench.asked


def test_a_check_is_made_in_the_lowest_format_that_auto_may_come_to(bench):
    config = config_of()
    assert specs.check_spec(config, "pgd40")["precision"] == "bfloat16"
    bench.plans_in("another")
    bench.has("fpu avx2")
    assert specs.check_spec(config, "pgd40")["precision"] == "float32"
    assert not bench.asked


def test_a_plugin_that_says_it_in_other_words_is_refused(tmp_path):
    (tmp_path / "attacks").mkdir()
    path = tmp_path / "attacks" / "mine.py"
    code = "NORMS = ('linf',)\nLOW_PRECISION = {}\ndef mine(m, x, y, *, streams, norm: str): pass\n"
    for said, problems in {"True": 0, "False": 0, "1": 1, "'bfloat16'": 1, "None": 1}.items():
        path.write_text(code.format(said))
        found = own_plugins.plugin_problems([str(tmp_path)])
        assert len(found) == problems, (said, found)
        assert not problems or f"LOW_PRECISION in {path} is {said}; allowed are" in found[0]


def test_the_rows_of_a_study_say_it(bench):
    run = ("quickstart", *RUN)
    assert specs.evaluate_spec(config_of(), *run)["low_precision"] == {
        "curve": "bfloat16",
        "fgsm": "bfloat16",
        "pgd40": "bfloat16",
    }
    exact = config_of(compute={"precision": "float32"})
    assert "low_precision" not in specs.evaluate_spec(exact, *run)


def test_jobs_of_every_rule_are_sized_whatever_is_chosen(bench):
    config = config_of()
    sizes = Sizes(config)
    for job in Plan(config).jobs.values():
        assert sizes.of(job.rule, job.names).seconds > 0
    assert {q["model"]["arch"] for q in bench.asked} == {"article_cnn"} and len(bench.asked) == 1


@pytest.mark.slow
def test_a_real_measurement_needs_no_pytorch_in_the_process_that_plans(tmp_path):
    """The whole way, on a machine whose flags are faked: planning, another process, the files."""
    program = (
        "import sys, json\n"
        "from gauntlet.study import precision, specs\n"
        "from gauntlet.study.cost.estimate import load_config\n"
        "precision.multiplies_bfloat16 = lambda device: True\n"
        "config = load_config([])\n"
        f"made = specs.craft_spec(config, *{RUN}, 'fgsm', 'test')\n"
        "print(json.dumps([made['precision'], 'torch' in sys.modules]))\n"
    )
    own = {precision.CACHE: str(tmp_path / "c"), precision.FOLDER: str(tmp_path / "f")}
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY), "CUDA_VISIBLE_DEVICES": "", **own}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    chosen, loaded = json.loads(done.stdout)
    assert not loaded and done.stderr.count("Measuring once") == 1
    (cached,), (stands,) = (list((tmp_path / name).iterdir()) for name in "cf")
    record = json.loads(cached.read_text())
    assert record["measured"]["images"] > 0 and record["question"]["torch"]
    faster = record["measured"]["speedup"] >= precision.MARGIN
    assert chosen == record["precision"] == ("bfloat16" if faster else "float32")
    assert json.loads(stands.read_text())["precision"] == chosen


def _training(**training) -> str:
    return specs.train_spec(config_of(training=training), *RUN)["training"]["precision"]


def test_a_training_and_an_attack_ask_the_same_question(bench):
    assert _training() == "float32" and _training(precision="bfloat16") == "bfloat16"
    assert not bench.asked
    assert _training(precision="auto") == "bfloat16" and crafted() == "bfloat16"
    assert len(bench.asked) == 1 and bench.asked[0]["layout"] == "channels_last"
    bench.speedup = 1.0
    bench.plans_in("another")
    wide = {"models": {"article_cnn": {"arch": "article_cnn", "hidden": 300}}}
    config = config_of(training={"precision": "auto"}, **wide)
    assert specs.train_spec(config, *RUN)["training"]["precision"] == "float32"
