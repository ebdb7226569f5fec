"""Devices: what is offered, and what a device without float64 is told."""

import pytest
import torch

import gauntlet
from gauntlet.attacks import bind
from gauntlet.core import device
from gauntlet.core.errors import GauntletError
from tests.helpers.devices import on_mps


def test_memory_is_kept_or_left_alone(monkeypatch):
    assert device.keep_memory() in (True, False)

    def nothing(name):
        raise OSError

    monkeypatch.setattr(device.ctypes, "CDLL", nothing)
    assert device.keep_memory() is False


def test_a_device_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.find_device("cpu") == torch.device("cpu")
    for kind in ("cuda", "mps"):
        with pytest.raises(GauntletError, match=f"resolved to '{kind}', .* offers cpu;"):
            device.find_device(kind)


def _certified(model, images, labels):
    gauntlet.certify(model, images, labels, eps=0.1)


def _attacked(model, images, labels):
    gauntlet.attack(model, images, labels, attack="fgsm", eps=0.1)


def _plugged(model, images, labels):
    bind({"kind": "pgd", "norm": "linf", "eps": 0.1})(model, images, labels, streams=None)


@pytest.mark.parametrize("use", [_certified, _attacked, _plugged])
def test_a_device_without_float64_ends_in_one_sentence(use):
    images, labels = on_mps(torch.rand(2, 1, 4, 4)), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(GauntletError, match="on 'mps', which has no float64.*allowed are cpu and"):
        use(lambda x: x.flatten(1)[:, :3], images, labels)
