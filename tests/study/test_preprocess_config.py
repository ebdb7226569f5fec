"""Steps before a model in a configuration: bad settings, specifications, plan, code and cost."""

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.study import preprocess, specs
from gauntlet.study.cost.resources import Sizes
from gauntlet.study.cost.work import work_of
from gauntlet.study.plan import Plan
from gauntlet.study.schema import complete
from tests.helpers.overlays import SCHEMA, completed, laid_over

STEPS = {
    "jpeg": {"kind": "jpeg"},
    "resize": {"kind": "random_resize", "adaptive": {"samples": 4}},
    "denoise": {"kind": "denoising_autoencoder", "attack": "pgd40"},
    "squeeze": {"kind": "feature_squeezing"},
    "prior": {"kind": "deep_image_prior", "adaptive": {"steps": 5}},
}
RUN = {"dataset": "digits", "model": "article_cnn", "defense": "baseline", "seed": 0}


def overlay(*names: str, **study) -> dict:
    lists = {"preprocess": list(names or STEPS), "seeds": [0], "defenses": ["baseline"]}
    return {"preprocess": STEPS, "studies": {"quickstart": lists | study}}


def steps(**settings) -> dict:
    return {"preprocess": {"mine": settings}, "studies": {"quickstart": {"preprocess": ["mine"]}}}


NO_GRADIENTS = {
    "models": {"net": {"arch": "onnx", "weights": "net.onnx", "gradients": False}},
    "attacks": {"square": {"kind": "square", "norm": "linf", "eps": 0.1}},
}
BLIND = {"models": ["net"], "defenses": ["as_given"], "attacks": ["square"]}
L1 = {"near": {"kind": "fmn", "norm": "l1", "eps": [1.0, 2.0]}}
MISTAKES = {
    "an unknown kind": (steps(kind="jpg"), ["preprocess.mine.kind is 'jpg'", "nearest is 'jpeg'"]),
    "no kind": (steps(quality=5), ["preprocess.mine.kind is missing"]),
    "an unknown setting": (
        steps(kind="jpeg", qality=5),
        ["preprocess.mine.qality is no known key"],
    ),
    "quality 0": (steps(kind="jpeg", quality=0), ["mine.quality is 0", "from 1 to 100"]),
    "nine bits": (steps(kind="bit_depth", bits=9), ["mine.bits is 9", "from 1 to 8"]),
    "half a bit": (steps(kind="bit_depth", bits=0.5), ["mine.bits is 0.5", "a whole number"]),
    "a window of 1": (steps(kind="median", window=1), ["mine.window is 1", "from 2 to 31"]),
    "no weight": (steps(kind="total_variation", weight=0), ["mine.weight is 0", "above 0"]),
    "no shrinking": (steps(kind="random_resize", least=1), ["mine.least is 1", "below 1"]),
    "rate 1": (steps(kind="feature_squeezing", rate=1.0), ["mine.rate is 1.0", "below 1"]),
    "no iterations": (steps(kind="deep_image_prior", iterations=0), ["iterations is 0", "of 1"]),
    "no attack to learn from": (
        steps(kind="denoising_autoencoder"),
        ["preprocess.mine.attack is missing", "the name of an attack"],
    ),
    "an attack that is not there": (
        steps(kind="denoising_autoencoder", attack="pgd"),
        ["preprocess.mine.attack is 'pgd'", "one of attacks"],
    ),
    "an attack without draws": (
        {"attacks": {"pgd40": {"loss_draws": 0}}}
        | steps(kind="denoising_autoencoder", attack="pgd40"),
        ["preprocess.mine.attack is 'pgd40'", "loss_draws of 1 or more"],
    ),
    "a curve to learn from": (
        {"attacks": {"curve": {"loss_draws": 1}}}
        | steps(kind="denoising_autoencoder", attack="curve"),
        ["preprocess.mine.attack is 'curve', a curve", "a single eps"],
    ),
    "a setting of the adaptive attack": (
        steps(kind="jpeg", adaptive={"step": 5}),
        ["preprocess.mine.adaptive.step is no known key", "steps"],
    ),
    "no steps": (
        steps(kind="jpeg", adaptive={"steps": 0}),
        ["preprocess.mine.adaptive.steps is 0", "of 1 or"],
    ),
    "adaptive at the top": ({"adaptive": {"restarts": 0}}, ["adaptive.restarts is 0"]),
    "one sample of a random step": (
        {"adaptive": {"samples": 1}} | steps(kind="random_resize"),
        ["preprocess.mine is random_resize", "samples", "are 1; allowed are 2 or more"],
    ),
    "a step that is not there": (
        {"studies": {"quickstart": {"preprocess": ["mine"]}}},
        ["studies.quickstart.preprocess[0] is 'mine'", "one of preprocess"],
    ),
    "the name none": (
        {"preprocess": {"none": {"kind": "jpeg"}}},
        ["preprocess has the name 'none'", "reserved"],
    ),
    "twice the same": (overlay("jpeg", "jpeg"), ["studies.quickstart.preprocess is", "each once"]),
    "no attack with a ball": (
        {"attacks": L1} | overlay("jpeg", attacks=["noise", "near"], transfer={}),
        None,
    ),
    "no gradients": (NO_GRADIENTS | overlay("jpeg", **BLIND), ["models.net.gradients is false"]),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_sentence_before_any_job(case):
    change, wanted = MISTAKES[case]
    config = laid_over(change)
    if wanted is None:
        del config["studies"]["quickstart"]["transfer"]
        wanted = ["studies.quickstart.preprocess names 'jpeg'", "linf or l2 and an eps"]
    elif case == "no gradients":
        del config["studies"]["quickstart"]["transfer"]
    with pytest.raises(GauntletError) as error:
        complete(config, SCHEMA)
    lines = [line for line in str(error.value).splitlines() if all(w in line for w in wanted)]
    assert len(lines) == 1, str(error.value)


def test_a_step_that_no_study_lists_costs_nothing_and_changes_no_spec():
    plain, more = completed(), completed({"preprocess": STEPS, "adaptive": {"steps": 7}})
    before, after = Plan(plain), Plan(more)
    assert before.jobs.keys() == after.jobs.keys()
    assert [before.spec(j) for j in before.jobs.values()] == [
        after.spec(j) for j in after.jobs.values()
    ]


def test_the_spec_of_an_attack_through_a_step_has_what_the_step_asks_for():
    config = completed(overlay(), {"adaptive": {"steps": 30, "samples": 8, "draws": 16}})
    found = {
        name: preprocess.adaptive_spec(config, "quickstart", **RUN, preprocess=name)
        for name in STEPS
    }
    points = {name: spec["points"] for name, spec in found.items()}
    assert [point["eps"] for point in points["jpeg"]] == [0.15]  # the curve has several
    assert {name for name, p in points.items() if p[0]["straight_through"]} == {"jpeg", "squeeze"}
    assert {name: p[0]["samples"] for name, p in points.items() if p[0]["samples"] > 1} == {
        "resize": 4
    }
    assert {name: spec["draws"] for name, spec in found.items() if spec["draws"] > 1} == {
        "resize": 16
    }
    assert points["prior"][0]["steps"] == 5 and points["jpeg"][0]["steps"] == 30
    assert all(spec["preprocess"].keys().isdisjoint(preprocess.ASIDE) for spec in found.values())


def test_the_threats_are_those_of_attacks_with_a_single_eps_else_those_of_curves():
    config = completed(overlay("jpeg"))
    assert preprocess.threats(config, "quickstart") == [("linf", 0.15)]
    only = overlay("jpeg", attacks=["curve"], transfer={"source": "baseline", "attacks": []})
    config = laid_over(only)
    del config["studies"]["quickstart"]["transfer"]
    found = preprocess.threats(complete(config, SCHEMA), "quickstart")
    assert found == [("linf", eps) for eps in (0.025, 0.05, 0.1, 0.15, 0.2, 0.3)]


def test_an_attack_of_the_same_threat_leaves_the_adaptive_attack_as_it_is():
    more = {"attacks": {"more": {"kind": "apgd", "norm": "linf", "eps": 0.15}}}
    lists = completed()["studies"]["quickstart"]["attacks"]
    before = completed(overlay("jpeg"))
    after = completed(overlay("jpeg", attacks=[*lists, "more"]), more)
    own = {**RUN, "preprocess": "jpeg"}
    make = preprocess.adaptive_spec, preprocess.naive_spec
    same = [spec(before, "quickstart", **own) == spec(after, "quickstart", **own) for spec in make]
    assert same == [True, False]


def test_the_plan_fits_what_learns_and_waits_for_its_examples():
    plan = Plan(completed(overlay()))
    fits = {
        job.names["preprocess"]: job for job in plan.jobs.values() if job.rule == "fit_preprocess"
    }
    assert fits.keys() == {"denoise", "squeeze"}
    rules = {name: sorted(plan.jobs[need].rule for need in job.needs) for name, job in fits.items()}
    both = ["download_data", "split_data", "train_model"]
    assert rules == {"squeeze": both, "denoise": sorted([*both, "craft_examples"])}
    parts = [plan.jobs[need].names.get("part") for need in fits["denoise"].needs]
    assert "train" in parts
    counts = [job.rule for job in plan.jobs.values()]
    assert counts.count("attack_preprocess") == counts.count("preprocess_examples") == len(STEPS)
    assert counts.count("publish_preprocess") == 1


def test_a_jobs_code_is_that_of_its_own_step():
    config = completed(overlay())
    for name in STEPS:
        spec = preprocess.adaptive_spec(config, "quickstart", **RUN, preprocess=name)
        found = specs.plugins(spec)
        kind = STEPS[name]["kind"]
        assert f"gauntlet.preprocess.{kind}" in found and "gauntlet.attacks.adaptive" in found
        assert [n for n in found if ".preprocess." in n] == [f"gauntlet.preprocess.{kind}"]


def test_every_job_has_work_memory_and_time():
    config = completed(overlay())
    plan, sizes = Plan(config), Sizes(config)
    efforts = {}
    for job in plan.jobs.values():
        if "preprocess" not in job.rule:
            continue
        assert sizes.memory(job.rule, job.names) > 0 and sizes.minutes(job.rule, job.names) > 0
        work = work_of(job.rule, plan.spec(job), sizes.dataset(job.names.get("dataset")))
        efforts[job.rule, job.names.get("preprocess")] = work.effort
    assert min(efforts.values()) > 0
    through = "attack_preprocess"
    assert (
        efforts[through, "squeeze"] > 2 * efforts[through, "jpeg"]
    )  # it asks the model three times
