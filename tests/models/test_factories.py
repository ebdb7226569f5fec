"""Networks that a user's own function gives, and what goes wrong in it."""

import textwrap

import pytest
import torch

from gauntlet.core.errors import GauntletError
from gauntlet.models import build_model
from tests.helpers.network_files import CLASSES, IMAGES, SHAPE

FACTORY = """
    import sys
    from torch import nn

    def net(width=4, fail=None):
        if fail:
            raise KeyError(fail)
        return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 5))

    def wide(): return nn.Flatten()
    def text(): return "net"
    def leaves(): sys.exit(3)
    def small(): return nn.Conv2d(1, 2, 3)
    value = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "their_nets.py").write_text(textwrap.dedent(FACTORY))
    (tmp_path / "their_broken.py").write_text("import nothing_of_that_name\n")
    (tmp_path / "their_syntax.py").write_text("def net(:\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_factory_gives_the_network(folder):
    settings = {"arch": "factory", "factory": "their_nets:net", "arguments": {"width": 7}}
    model = build_model(settings | {"source": "abc"}, SHAPE, CLASSES, 0)
    assert model(IMAGES).shape == (11, 5) and model.network[1].out_features == 7
    again = build_model(settings, SHAPE, CLASSES, 0)
    assert torch.equal(model(IMAGES), again(IMAGES))


@pytest.mark.parametrize(
    ("factory", "arguments", "says"),
    [
        ("their_nets:net", {"fail": "x"}, "raised KeyError: 'x' .their_nets.py, line 7"),
        ("their_nets:net", {"depth": 3}, "raised TypeError: .*depth"),
        ("their_nets:leaves", {}, "raised SystemExit: 3"),
        ("their_nets:none", {}, "does not exist: their_nets has no such function"),
        ("their_nets:value", {}, "no such function"),
        ("their_nowhere:net", {}, "cannot be imported: ModuleNotFoundError.*their_nowhere"),
        (
            "their_broken:net",
            {},
            "cannot be imported.*nothing_of_that.*their_broken.py, line 1",
        ),
        ("their_syntax:net", {}, "cannot be imported: SyntaxError"),
        ("their_nets:text", {}, "gave a str; allowed is a torch.nn.Module"),
        ("their_nets:wide", {}, r"is \[2, 192\]; it must be \[2, 5\]"),
        ("their_nets:small", {}, "cannot take images of .3, 8, 8.: RuntimeError"),
    ],
)
def test_what_goes_wrong_in_a_factory_is_one_sentence(folder, factory, arguments, says):
    settings = {"arch": "factory", "factory": factory, "arguments": arguments}
    with pytest.raises(GauntletError, match=f"The factory {factory} {says}|{says}") as caught:
        build_model(settings, SHAPE, CLASSES, 0)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("The factory")
