"""Certificates in the configuration: what is refused, what it means, which attacks are spared."""

import importlib

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.study import certificates, specs
from tests.helpers.overlays import completed

RUN = ("digits", "article_cnn", "pgd_at", 0)
CROWN = {"kind": "crown", "norm": "linf", "eps": 0.15}
SMOOTH = {"kind": "smoothing", "sigma": 0.25, "eps": 0.25}
L2 = {"kind": "pgd", "norm": "l2", "eps": 1.0}


def with_study(certified=(), names=None, **study):
    chosen = {"certificates": list(names or certified)} | study
    return {"certificates": dict(certified), "studies": {"quickstart": chosen}}


BAD = {
    "unknown kind": ({"kind": "crwn", "eps": 1}, ["c.kind is 'crwn'", "nearest is 'crown'"]),
    "no eps": ({"kind": "ibp"}, ["certificates.c.eps is missing"]),
    "no sigma": ({"kind": "smoothing", "eps": 1}, ["certificates.c.sigma is missing"]),
    "norm of smoothing": (SMOOTH | {"norm": "linf"}, ["c.norm is 'linf'", "l2"]),
    "norm": (CROWN | {"norm": "l3"}, ["c.norm is 'l3'", "l1, l2, linf"]),
    "a key of another kind": (CROWN | {"sigma": 0.1}, ["c.sigma is no known key"]),
    "sigma 0": (SMOOTH | {"sigma": 0}, ["c.sigma is 0", "above 0"]),
    "alpha 1": (SMOOTH | {"alpha": 1}, ["c.alpha is 1", "above 0 and below 1"]),
    "no draws": (SMOOTH | {"n": 0}, ["c.n is 0", "1 or more"]),
    "too few draws": (SMOOTH | {"n": 9}, ["c.n is 9, too few for alpha 0.001", "10 draws"]),
    "out of reach": (SMOOTH | {"eps": 2, "n": 100}, ["c.eps is 2", "at most 0.375"]),
    "eps 0": (CROWN | {"eps": 0}, ["c.eps is 0", "above 0"]),
    "eps in grey levels": (CROWN | {"eps": 8}, ["c.eps is 8", "up to 1", "'8/255'"]),
    "eps that falls": (CROWN | {"eps": [0.2, 0.1]}, ["c.eps is [0.2, 0.1]", "ascending"]),
    "low ceiling": (CROWN | {"ceiling": 0.1}, ["c.ceiling is 0.1", "0.15) or more"]),
    "slopes": (CROWN | {"slopes": "steep"}, ["c.slopes is 'steep'", "adaptive, alpha, fast_lin"]),
}


def refused(overlay, fragments):
    with pytest.raises(GauntletError) as caught:
        completed(overlay)
    lines = [line for line in str(caught.value).splitlines() if fragments[0] in line]
    assert lines and all(part in lines[0] for part in fragments), str(caught.value)


@pytest.mark.parametrize("case", BAD)
def test_certificates_that_cannot_be_meant(case):
    settings, fragments = BAD[case]
    refused({"certificates": {"c": settings}}, fragments)


STUDIES = {
    "unknown name": (
        with_study({"c": CROWN}, ["d"]),
        ["certificates[0] is 'd'", "one of certificates: c"],
    ),
    "twice": (with_study({"c": CROWN}, ["c", "c"]), ["quickstart.certificates"]),
    "too short": (
        with_study({"c": CROWN | {"eps": 0.01}}),
        ["certificates[0] is 'c', which proves up to linf 0.01", "0.025 or more"],
    ),
    "sample": (with_study({"c": CROWN}, spare_sample=-1), ["spare_sample is -1", "0 or more"]),
    "switch": (with_study({"c": CROWN}, spare_certified="no"), ["spare_certified is 'no'"]),
}


@pytest.mark.parametrize("case", STUDIES)
def test_studies_that_cannot_be_meant(case):
    refused(*STUDIES[case])


def test_without_certificates_nothing_changes():
    config = completed()
    assert config["certificates"] == {}
    assert config["studies"]["quickstart"]["certificates"] == []
    assert "spare" not in specs.craft_spec(config, *RUN, "pgd40", "test")
    assert specs.evaluate_spec(config, "quickstart", *RUN)["certificates"] == []


def test_points_are_ascending_and_search_once():
    settings = CROWN | {"eps": ["4/255", "8/255"], "radius": True, "ceiling": "16/255"}
    config = completed({"certificates": {"c": settings, "s": SMOOTH | {"sigma": "51/255"}}})
    points = certificates.certificate_points(config["certificates"]["c"])
    assert [point["eps"] for point in points] == [4 / 255, 8 / 255]
    assert [point["radius"] for point in points] == [False, True]
    assert {point["ceiling"] for point in points} == {16 / 255}
    (point,) = certificates.certificate_points(config["certificates"]["s"])
    assert point["sigma"] == pytest.approx(0.2) and point["n"] == 10_000
    made = specs.certify_spec(config, *RUN, "c", "test")
    assert specs.plugins(made) == ["gauntlet.certify.crown", "gauntlet.models.article_cnn"]
    assert made["part"] == "test" and "precision" not in made


@pytest.mark.parametrize("kind", ["crown", "ibp", "smoothing"])
def test_what_is_smoothed_is_known_without_loading_it(kind):
    module = importlib.import_module(f"gauntlet.certify.{kind}")
    assert certificates.is_deterministic({"kind": kind}) == module.DETERMINISTIC


def test_only_deterministic_certificates_of_the_norm_spare_an_attack():
    known = {"c": CROWN, "l2": CROWN | {"norm": "l2", "eps": 2}, "s": SMOOTH}
    overlay = with_study(known, attacks=["noise", "pgd40", "curve", "far"])
    overlay["attacks"] = {"far": L2}
    config = completed(overlay)
    message = {a: certificates.sparing(config, *RUN, a) for a in ("noise", "pgd40", "curve", "far")}
    assert message == {"noise": [], "pgd40": ["c"], "curve": ["c"], "far": ["l2"]}
    made = specs.craft_spec(config, *RUN, "pgd40", "test")
    assert made["spare"] == {"sample": 32}
    assert "spare" not in specs.craft_spec(config, *RUN, "pgd40", "train")
    assert "spare" not in specs.craft_spec(config, *RUN, "noise", "test")
    assert "spare" not in specs.craft_spec(config, *RUN[:3], 7, "pgd40", "test")  # in no study
    shard = specs.shard_spec(
        config,
        scatteritem="1-of-2",
        **dict(zip(specs.Run._fields, RUN, strict=True)),
        attack="pgd40",
        part="test",
    )
    assert shard["spare"] == {"sample": 32}


def test_a_certificate_that_ends_below_an_attack_spares_nothing_of_it():
    config = completed(with_study({"c": CROWN | {"eps": 0.05}}))
    assert certificates.sparing(config, *RUN, "pgd40") == []
    assert certificates.sparing(config, *RUN, "curve") == ["c"]
    searching = completed(with_study({"c": CROWN | {"eps": 0.08, "radius": True}}))
    assert certificates.sparing(searching, *RUN, "pgd40") == ["c"]


def test_studies_that_share_runs():
    other = {"datasets": ["digits"], "models": ["article_cnn"], "defenses": ["pgd_at"]}
    other |= {"attacks": ["pgd40"], "seeds": [0]}
    overlay = with_study({"c": CROWN}, spare_sample=5)
    overlay["studies"]["other"] = other | {"spare_sample": 9}
    config = completed(overlay)
    assert specs.craft_spec(config, *RUN, "pgd40", "test")["spare"] == {"sample": 5}
    overlay["studies"]["other"]["spare_certified"] = False
    config = completed(overlay)
    assert certificates.sparing(config, *RUN, "pgd40") == []
    assert certificates.sparing(config, *RUN, "fgsm") == ["c"]  # which the other does not have


@pytest.mark.parametrize(
    ("change", "crafted"),
    [
        ({"certificates": {"c": {"eps": 0.2}}}, set()),  # the ledger, an input, tells
        ({"certificates": {"s": {"n": 500}}}, set()),
        ({"studies": {"quickstart": {"spare_sample": 3}}}, {"pgd40", "fgsm", "curve"}),
        ({"studies": {"quickstart": {"spare_certified": False}}}, {"pgd40", "fgsm", "curve"}),
    ],
)
def test_an_edit_changes_exactly_these_attacks(change, crafted):
    base = with_study({"c": CROWN, "s": SMOOTH})
    before, after = completed(base), completed(base, change)
    names = ("noise", "fgsm", "pgd40", "curve")
    found = {
        name
        for name in names
        if specs.craft_spec(before, *RUN, name, "test")
        != specs.craft_spec(after, *RUN, name, "test")
    }
    assert found == crafted
