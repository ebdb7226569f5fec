"""Configurations that are wrong: each is refused in one sentence that helps."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gauntlet.core.errors import GauntletError
from gauntlet.study.schema import complete
from tests.helpers import wrong_settings, wrong_studies
from tests.helpers.overlays import BASE, SCHEMA, laid_over

CASES = [*wrong_settings.CASES, *wrong_studies.CASES]


def refusal(config) -> list[str]:
    with pytest.raises(GauntletError) as caught:
        complete(config, SCHEMA)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(("overlay", "fragments"), [case[1:] for case in CASES],
                         ids=[case[0] for case in CASES])  # fmt: skip
def test_one_sentence_says_what_is_wrong_and_what_is_allowed(overlay, fragments):
    sentences = refusal(laid_over(overlay))
    message = [text for text in sentences if all(fragment in text for fragment in fragments)]
    assert message, sentences
    assert all(text.endswith(".") and len(text) < 400 for text in sentences)


def test_a_mistake_is_told_once():
    """A value that fails type, enum and range at once still gives one line."""
    several = {"empty study"}  # it lacks five lists
    for name, overlay, _ in CASES:
        assert len(refusal(laid_over(overlay))) == 1 or name in several, name


@pytest.mark.parametrize(
    "config", [None, [], {}, "run", 1, {"run": None}, {"studies": {"x": None}}]
)
def test_what_is_no_configuration_at_all_is_refused(config):
    assert all("allowed" in text or "missing" in text for text in refusal(config))


def test_many_mistakes_are_told_together_and_end_at_twenty_lines():
    names = {f"a{number}": {"kind": "x"} for number in range(30)}
    sentences = refusal(laid_over({"attacks": names}))
    assert len(sentences) == 20
    assert sentences[-1] == "There are 11 more problems."


def places(value, path=()):
    """List the path of every value of a configuration."""
    yield path
    if isinstance(value, list):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        for key, part in value.items():
            yield from places(part, (*path, key))


NASTY = [
    None, True, 0, -1, 0.5, 2**70, float("nan"), float("inf"), "", "x", "1/0", "8/255", "none",
    "baseline", "a\nb", "\x00", "é" * 300, b"x", [], [[]], [None], ["x", "x"], {}, {"x": None},
    {1: 2},
]  # fmt: skip


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.sampled_from([path for path in places(BASE) if path]), st.sampled_from(NASTY))
def test_any_value_anywhere_is_taken_or_refused_in_words(path, value):
    config = laid_over()
    spot = config
    for part in path[:-1]:
        spot = spot[part]
    spot[path[-1]] = value
    try:
        sentences = [] if complete(config, SCHEMA) else ["nothing"]
    except GauntletError as error:
        sentences = str(error).splitlines()
    assert all(text.endswith(".") for text in sentences)
