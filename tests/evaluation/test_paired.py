"""Defenses against the baseline, image by image."""

import numpy as np
import pytest

from gauntlet.evaluation import paired
from gauntlet.evaluation.metrics import packed, unpacked

N = 200


def record(defense, seed, robust, clean=range(N), eps=0.1, norm="linf"):
    right = packed(np.isin(np.arange(N), list(robust)))
    threshold = {"norm": norm, "eps": eps, "robust_mask": right}
    threshold["classes"] = [{"n": N // 2}, {"n": N // 2}]
    names = {"dataset": "digits", "model": "cnn", "defense": defense, "seed": seed}
    clean = packed(np.isin(np.arange(N), list(clean)))
    return names | {"thresholds": [threshold], "clean_mask": clean}


def compared(*records, baseline="plain"):
    return {(r["defense"], r["norm"]): r for r in paired.comparisons(records, baseline)}


def test_a_difference_is_that_of_the_same_images():
    own, other = set(range(40, 160)), set(range(0, 60))
    found = compared(record("plain", 0, other), record("pgd", 0, own))["pgd", "linf"]
    values = [(i in own) - (i in other) for i in range(N)]
    reach = 1.959963984540054 * np.std(values, ddof=1) / N**0.5
    assert found["difference"] == pytest.approx(60 / N)
    assert (found["low"], found["high"]) == pytest.approx((0.3 - reach, 0.3 + reach), rel=1e-5)
    assert (found["n"], found["seeds"], found["against"]) == (N, 1, "plain")
    assert found["result"] == "better"


def test_seeds_share_images_and_do_not_multiply_them():
    once = compared(record("plain", 0, range(60)), record("pgd", 0, range(120)))["pgd", "linf"]
    counts = {"plain": 60, "pgd": 120}
    twice = [record(name, seed, range(n)) for name, n in counts.items() for seed in (0, 1)]
    both = compared(*twice)["pgd", "linf"]
    same = ("difference", "low", "high", "n")
    assert [both[name] for name in same] == [once[name] for name in same] and both["seeds"] == 2


def test_one_seed_on_the_other_side_shows_nothing():
    runs = [("plain", 0, 40), ("plain", 1, 40), ("pgd", 0, 120), ("pgd", 1, 39)]
    found = compared(*(record(name, seed, range(n)) for name, seed, n in runs))["pgd", "linf"]
    assert found["low"] > 0 > found["least_seed"] and found["result"] == "not shown"


def test_a_defense_can_be_worse_and_equal_ones_differ_by_nothing():
    plain = record("plain", 0, range(100))
    worse = compared(plain, record("bad", 0, range(20)), record("same", 0, range(100)))
    assert worse["bad", "linf"]["result"] == "worse"
    same = worse["same", "linf"]
    assert (same["difference"], same["result"]) == (0, "not shown")
    assert worse["bad", "clean"]["difference"] == 0


def test_only_what_both_have_measured_is_compared():
    plain = record("plain", 0, range(10))
    other_eps, noise = record("a", 0, range(10), eps=0.2), record("b", 0, range(10), norm="noise")
    found = compared(plain, other_eps, noise, record("c", 1, range(10)))
    assert set(found) == {("a", "clean"), ("b", "clean")}
    assert paired.comparisons([plain, other_eps], None) == []
    assert paired.comparisons([other_eps], "plain") == []


@pytest.mark.parametrize("n", [1, 7, 8, 9, 359])
def test_a_mask_is_read_as_it_was_written(n):
    mask = np.random.default_rng(n).random(n) < 0.5
    assert (unpacked(packed(mask), n) == mask).all()
