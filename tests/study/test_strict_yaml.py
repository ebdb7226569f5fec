"""A key that a YAML file has twice is refused, with both lines."""

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.study.strict_yaml import require_unique_keys
from tests.helpers.places import ROOT

TWICE = {
    "a setting": ("attacks:\n  a:\n    eps: 1\n    kind: pgd\n    eps: 2\n", "attacks.a.eps", 3, 5),
    "at the top": ("run: [a]\n# run\nrun: [b]\n", "run", 1, 3),
    "in a list": ("a:\n- {b: 1, c: 2}\n- {b: 1,\n   b: 2}\n", "a[1].b", 3, 4),
    "in one line": ("a: {b: 1, b: 1}\n", "a.b", 1, 1),
    "an anchor": ("a: &x\n  b: 1\n  b: 2\nc: *x\n", "a.b", 2, 3),
    "in JSON": ('{"a":\n1, "a": 2}', "a", 1, 2),
}
ONCE = [
    "a: &x {b: 1, c: 2}\nd: {<<: *x, b: 3}\n",  # a merged key may be set anew
    "a: {b: 1}\nc: {b: 1}\n",
    '1: a\n"1": b\n',
    "a: &x [*x]\n",
    "a: [",
    "",
]


@pytest.mark.parametrize("case", TWICE)
def test_a_repeated_key_is_refused_with_both_lines(tmp_path, case):
    text, path, first, again = TWICE[case]
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(GauntletError) as refused:
        require_unique_keys([tmp_path / "mine.yaml"])
    assert str(refused.value) == (
        f"{tmp_path}/mine.yaml: {path} is set on line {first} and again on line {again}; "
        "allowed is each key once."
    )


@pytest.mark.parametrize("text", ONCE)
def test_all_else_is_left_to_the_reader_of_the_file(tmp_path, text):
    (tmp_path / "mine.yaml").write_text(text)
    require_unique_keys([tmp_path / "mine.yaml", tmp_path / "gone.yaml"])


def test_the_projects_own_files_have_each_key_once():
    files = [*(ROOT / "config").glob("*.yaml"), *(ROOT / "workflow/schemas").glob("*.yaml")]
    require_unique_keys(files)
    assert len(files) > 5
