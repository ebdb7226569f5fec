"""Plug-ins by file name: in the package and in the user's folders, loaded when they are named."""

import json
import os
import sys

import pytest

from gauntlet import certify
from gauntlet.core import plugins
from gauntlet.core.errors import GauntletError
from tests.helpers.own_plugins import (
    ATTACK,
    CERTIFICATE,
    forgotten,  # noqa: F401
    own_folder,  # noqa: F401
    written,
)


def test_own_plug_ins_are_loaded_beside_the_package(own):
    plugins.use([str(own)])
    assert plugins.load("attacks", "mine").__name__ == "mine"
    assert plugins.load_module("data", "stripes").__name__ == "gauntlet.data.stripes"
    assert plugins.load("attacks", "pgd").__module__ == "gauntlet.attacks.pgd"
    assert json.loads(os.environ[plugins.ENVIRONMENT]) == [str(own)]
    with pytest.raises(GauntletError, match=f"no plug-in 'yours' in gauntlet/attacks/ or in {own}"):
        plugins.load("attacks", "yours")


def test_a_plug_in_that_is_added_later_is_found(own):
    plugins.use([str(own)])
    assert plugins.find("attacks", "later") is None and "later" not in plugins.available("attacks")
    (own / "attacks" / "later.py").write_text(ATTACK.replace("def mine", "def later"))
    assert "later" in plugins.available("attacks")
    assert plugins.load("attacks", "later").__name__ == "later"
    (own / "attacks" / "later.py").unlink()
    assert plugins.find("attacks", "later") is None


@pytest.mark.parametrize("name", ["_hidden", "../attacks/mine", "pgd.py", ""])
def test_what_is_no_name_of_a_plug_in_is_not_found(name, own):
    plugins.use([str(own)])
    (own / "attacks" / "_hidden.py").write_text(ATTACK)
    assert plugins.find("attacks", name) is None


def test_a_plug_in_that_cannot_be_loaded_is_one_sentence(tmp_path):
    text = "import nothing_of_this_name\n" + ATTACK
    plugins.use([str(written(tmp_path, {"attacks/mine.py": text}))])
    with pytest.raises(GauntletError, match=r"mine.py cannot be loaded \(ModuleNotFoundError: No"):
        plugins.load("attacks", "mine")
    assert "gauntlet.attacks.mine" not in sys.modules


def test_a_certificate_that_does_not_say_it_is_one_is_no_proof(tmp_path):
    text = "\n".join(line for line in CERTIFICATE.splitlines() if "DETERMINISTIC" not in line)
    plugins.use([str(written(tmp_path, {"certify/boxes.py": text}))])
    assert not certify.deterministic("boxes")
