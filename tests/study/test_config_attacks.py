"""Settings of attacks that cannot be meant: one sentence each, before any job."""

import pytest

from gauntlet.core.errors import GauntletError
from tests.helpers.overlays import completed

ATTACKS = {
    "norm it lacks": (
        {"kind": "apgd", "norm": "l7", "eps": 1},
        "a.norm is 'l7'",
        "l1, l2",
    ),
    "norm of l2 attacks": ({"kind": "ddn", "norm": "linf", "eps": 1}, "a.norm is 'linf'", "l2"),
    "loss": ({"kind": "pgd", "eps": 0.1, "loss": "mse"}, "a.loss is 'mse'", "ce, dlr, margin"),
    "targeted loss": ({"kind": "apgd_t", "eps": 0.1, "loss": "ce"}, "a.loss is 'ce'", "dlr"),
    "odd samples": ({"kind": "spsa", "eps": 0.1, "samples": 3}, "a.samples is 3", "even"),
    "first squares": ({"kind": "square", "eps": 0.1, "p_init": 0}, "a.p_init is 0", "above 0"),
    "no eps of a curve": ({"kind": "cw"}, "a.eps is missing", "ascending list"),
    "severity": ({"kind": "corruptions", "severity": 6}, "a.severity is 6", "from 1 to 5"),
    "corruption": ({"kind": "corruptions", "names": ["rain"]}, "names[0] is 'rain'", "fog"),
    "version": ({"kind": "autoattack", "eps": 0.1, "version": "plus"}, "'plus'", "rand, standard"),
    "grid": ({"kind": "spatial", "grid": [3, 3]}, "a.grid", "three whole numbers"),
    "eps beyond the range": ({"kind": "fmn", "eps": [0.1, 2]}, "a.eps is [0.1, 2]", "0 to 1"),
    "eps that falls": ({"kind": "fab_t", "eps": [0.2, 0.1]}, "a.eps", "ascending"),
    "steps too short": ({"kind": "mifgsm", "eps": 0.3, "step": 0.01}, "a.step", "0.03 or more"),
    "a key of another": ({"kind": "apgd", "eps": 0.1, "step": 0.1}, "a.step", "step"),
}
COMPUTE = {
    "precision": ({"precision": "int8"}, "compute.precision is 'int8'", "bfloat16"),
    "shards": ({"shards": 0}, "compute.shards is 0", "1 or more"),
    "batch": ({"batch": 0}, "compute.batch is 0", "1 or more"),
}
TRANSFER = {"source": "everyone", "attacks": ["pgd40"]}


def _refused(overlay: dict, *fragments: str) -> None:
    with pytest.raises(GauntletError) as caught:
        completed(overlay)
    message = [line for line in str(caught.value).splitlines() if fragments[0] in line]
    assert message and all(fragment in message[0] for fragment in fragments), str(caught.value)


@pytest.mark.parametrize("case", ATTACKS)
def test_attacks_that_cannot_be_meant(case):
    settings, *fragments = ATTACKS[case]
    _refused({"attacks": {"a": settings}}, *fragments)


@pytest.mark.parametrize("case", COMPUTE)
def test_computing_that_cannot_be_meant(case):
    settings, *fragments = COMPUTE[case]
    _refused({"compute": settings}, *fragments)


def test_a_transfer_from_nowhere_and_of_what_is_not_drawn():
    _refused({"studies": {"quickstart": {"transfer": TRANSFER}}}, "transfer.source", "all")
    moved = {"source": "all", "attacks": ["ddn"]}
    overlay = {"attacks": {"ddn": {"kind": "ddn", "eps": 1}}}
    study = {"attacks": ["fgsm", "ddn"], "transfer": moved}
    _refused(overlay | {"studies": {"quickstart": study}}, "transfer.attacks[0]", "loss_draws")


def test_all_defenses_are_sources_of_a_matrix():
    from gauntlet.study import specs

    study = {"transfer": {"source": "all", "attacks": ["pgd40"]}}
    config = completed({"studies": {"quickstart": study}})
    sets = specs.transfer_sets(config, "quickstart", "trades")
    names = config["studies"]["quickstart"]["defenses"]
    assert sets == [(name, "pgd40") for name in names if name != "trades"]


@pytest.mark.parametrize(
    ("flags", "device", "wanted", "message"),
    [
        ("fpu amx_bf16 avx2", "cpu", "auto", "bfloat16"),
        ("fpu avx512_bf16", "cpu", "auto", "bfloat16"),
        ("fpu avx2", "cpu", "auto", "float32"),
        ("fpu avx2", "cuda", "auto", "bfloat16"),
        ("fpu amx_bf16", "cpu", "float32", "float32"),
        ("fpu avx2", "cpu", "float16", "float16"),
    ],
)
def test_auto_takes_the_precision_that_is_native(flags, device, wanted, message, tmp_path):
    from gauntlet.study import specs

    info = tmp_path / "cpuinfo"
    info.write_text(f"processor : 0\nflags\t\t: {flags}\n")
    config = completed({"compute": {"device": device, "precision": wanted}})
    assert specs.precision(config, cpuinfo=str(info)) == message
