"""A plug-in's mistakes are reported before any job."""

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.study.schema import complete
from tests.helpers.overlays import SCHEMA, completed
from tests.helpers.own_plugins import (
    ATTACK,
    CERTIFICATE,
    FILES,
    forgotten,  # noqa: F401
    own_folder,  # noqa: F401
    study_of,
    written,
)
from tests.helpers.snakes import merged

NORMLESS = ATTACK.replace("norm: str, eps: float, ", "")
MISTAKES = {
    "a default of another type": (
        {"attacks/mine.py": ATTACK.replace("tries: int = 2", "tries=b'2'")},
        ["default of 'tries'", "is no literal of JSON's types"],
    ),
    "no schema": (
        {"attacks/mine.py": ATTACK + 'SETTINGS = {"tries": {"type": "int"}}'},
        ["SETTINGS['tries'] in", "allowed is a JSON schema"],
    ),
    "a reference": (
        {"attacks/mine.py": ATTACK + 'SETTINGS = {"tries": {"$ref": "#/x"}}'},
        ["SETTINGS['tries'] in", "without $ref"],
    ),
    "nested norms": (
        {"attacks/mine.py": ATTACK.replace('("linf",)', '[["linf"]]')},
        ["NORMS in", "allowed are some of linf, l2, l1"],
    ),
    "a slack in words": (
        {"attacks/mine.py": ATTACK.replace("CHECK_SLACK = 1.0", "CHECK_SLACK = 'much'")},
        ["CHECK_SLACK in", "allowed is a number of 0 or more"],
    ),
    "no folder": (None, ["plugins[0] is", "but there is no such folder", "allowed is a folder"]),
    "empty folder": ({"notes.txt": ""}, ["has none of the sub-folders attacks, audit"]),
    "a name of the package": (
        {"attacks/pgd.py": ATTACK.replace("def mine", "def pgd")},
        ["'pgd' exists twice", "each name of the family attacks once"],
    ),
    "no function": (
        {"attacks/mine.py": ATTACK.replace("def mine", "def yours")},
        ["mine.py has no function 'mine'"],
    ),
    "no Python": ({"attacks/mine.py": "def mine(:\n"}, ["mine.py is no Python file"]),
    "not UTF-8": ({"attacks/mine.py": b"\xff\xfe"}, ["mine.py is no Python file"]),
    "a file that is none": ({"attacks/mine.py": None}, ["mine.py cannot be read"]),
    "a name with a dash": ({"attacks/My-own.py": ATTACK}, ["the name 'My-own'", "small letters"]),
    "no streams": (
        {"attacks/mine.py": ATTACK.replace("*, streams, ", "*, ")},
        ["no keyword-only argument 'streams'"],
    ),
    "no norms": (
        {"attacks/mine.py": ATTACK.replace("NORMS", "N")},
        ["NORMS in", "is None; allowed are some of linf"],
    ),
    "no norms of a certificate": (
        {"certify/boxes.py": CERTIFICATE.replace("NORMS, DET", "N, DET")},
        ["NORMS in", "is None; allowed are some of linf"],
    ),
    "no threat": ({"attacks/mine.py": NORMLESS}, ["without the argument 'norm'", "THREAT", "SIZE"]),
    "no formula": (
        {"attacks/mine.py": ATTACK.replace("tries * 2", "open('x')")},
        ["is no formula; allowed are arithmetic"],
    ),
    "computed default": (
        {"attacks/mine.py": ATTACK.replace("tries: int = 2", "tries: int = len('ab')")},
        ["The default of 'tries'", "is no literal"],
    ),
    "no type": (
        {"attacks/mine.py": ATTACK.replace("tries: int = 2", "tries")},
        ["The argument 'tries'", "has no type"],
    ),
    "settings of nothing": (
        {"attacks/mine.py": ATTACK + "\nSETTINGS = {'more': {}}\n"},
        ["SETTINGS in", "allowed is a mapping from arguments of the function"],
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_sentence_before_any_job(case, tmp_path):
    files, fragments = MISTAKES[case]
    folder = tmp_path / "own"
    for name, text in (files or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.mkdir()
        else:
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(GauntletError) as raised:
        completed({"plugins": [str(folder)]})
    assert len(str(raised.value).splitlines()) == 1, raised.value
    for fragment in fragments:
        assert fragment in str(raised.value)


def test_a_name_in_two_folders_is_refused(own, tmp_path):
    other = written(tmp_path / "other", {"attacks/mine.py": ATTACK})
    with pytest.raises(GauntletError, match=r"'mine' exists twice, in .*own.* and in .*other"):
        completed({"plugins": [str(own), str(other)]})


SETTINGS = {
    "unknown key": ({"attacks": {"mine": {"shots": 3}}}, "attacks.mine.shots is no known key"),
    "wrong type": ({"attacks": {"mine": {"tries": "two"}}}, "attacks.mine.tries is 'two'"),
    "another norm": ({"attacks": {"mine": {"norm": "l2"}}}, "attacks.mine.norm is 'l2'"),
    "out of range": ({"defenses": {"soft": {"smooth": 1}}}, "defenses.soft.smooth is 1"),
    "unknown kind": ({"attacks": {"mine": {"kind": "mines"}}}, "nearest is 'mine'"),
    "unknown check": (
        {"studies": {"own": {"audit": ["above"]}}},
        "own.audit[0] is 'above'",
    ),
    "not for training": (
        {"defenses": {"soft": {"kind": "adversarial", "attack": "mine", "smooth": None}}},
        "defenses.soft.smooth is no known key",
    ),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_of_own_plug_ins_are_checked(case, own):
    change, fragment = SETTINGS[case]
    with pytest.raises(GauntletError) as raised:
        complete(merged(study_of(own), change), SCHEMA)
    assert fragment in str(raised.value)


def test_a_kind_that_is_not_for_training_is_refused_there():
    change = {"defenses": {"d": {"kind": "adversarial", "attack": "a"}}}
    change["attacks"] = {"a": {"kind": "mifgsm", "eps": 0.1}}
    with pytest.raises(GauntletError, match="attack of kind apgd or fgsm or pgd"):
        completed(change)


def test_a_step_without_a_random_start_is_no_error(tmp_path):
    text = ATTACK.replace("tries: int = 2", "step=None").replace("step=step", "step=eps")
    config = study_of(written(tmp_path, {**FILES, "attacks/mine.py": text}))
    config["attacks"]["mine"] = {"kind": "mine", "eps": 0.1, "step": 0.05}
    with pytest.raises(GauntletError, match="attacks.mine.step is 0.05, and 1 x 0.05 stays below"):
        complete(config, SCHEMA)
