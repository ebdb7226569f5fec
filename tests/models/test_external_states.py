"""Weights as they are found: what is taken, and how."""

import io
from collections import OrderedDict

import pytest
import torch
from torch import nn

from tests.helpers.state_files import IMAGES, prefixed, renamed, safetensors, take


def uncounted(state):
    return {name: value for name, value in state.items() if not name.endswith("tracked")}


WILD = {
    "plain": (lambda s: s, []),
    "ordered": (OrderedDict, []),
    "under state_dict": (lambda s: {"state_dict": s, "epoch": 3}, ["under 'state_dict'"]),
    "under model": (lambda s: {"model": s, "optimizer": {"lr": 0.1}}, ["under 'model'"]),
    "under net": (lambda s: {"net": s, "acc": 91.0}, ["under 'net'"]),
    "under model_state_dict": (lambda s: {"model_state_dict": s}, ["'model_state_dict'"]),
    "under a name of their own": (lambda s: {"ema_weights": s}, ["under 'ema_weights'"]),
    "in a list": (lambda s: [s], ["one item of a list"]),
    "in a list, nested": (lambda s: [{"net": s}], ["one item of a list", "under 'net'"]),
    "parallel": (lambda s: prefixed(s, "module."), ["'module.' before every name"]),
    "compiled": (lambda s: prefixed(s, "_orig_mod."), ["'_orig_mod.' before every name"]),
    "parallel and compiled": (lambda s: prefixed(s, "_orig_mod.module."), ["'_orig_mod.'"]),
    "inside another module": (lambda s: prefixed(s, "backbone.body."), ["'backbone.body.'"]),
    "parallel under state_dict": (
        lambda s: {"state_dict": prefixed(s, "module.")},
        ["under 'state_dict'", "'module.'"],
    ),
    "other names": (renamed, ["names differ, shapes match one to one in order", "layer0.weight"]),
    "without counters": (uncounted, []),
    "with an epoch among them": (
        lambda s: s | {"epoch": 3},
        ["ignored, because they are not tensors"],
    ),
    "with a tensor more": (lambda s: s | {"ema": torch.ones(2)}, ["not in the architecture: ema"]),
    "in float64": (lambda s: {n: v.double() if v.ndim else v for n, v in s.items()}, []),
    "parameters": (lambda s: {n: nn.Parameter(v, False) for n, v in s.items()}, []),
}


@pytest.mark.parametrize("form", WILD)
def test_a_state_dict_as_it_is_found_gives_the_same_network(form, trained, tmp_path):
    wrap, message = WILD[form]
    model, notes = take(wrap(trained.network.state_dict()), tmp_path)
    model.mean, model.std = trained.mean, trained.std
    assert torch.equal(model(IMAGES), trained(IMAGES))
    assert all(any(part in note for note in notes) for part in message), notes
    assert bool(notes) == bool(message)


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_safetensors_of_other_precisions_are_converted(kind, trained, tmp_path):
    own = trained.network.state_dict()
    state = {name: v.to(kind) if v.is_floating_point() else v for name, v in own.items()}
    model, _ = take(safetensors(state), tmp_path)
    for name, value in model.network.state_dict().items():
        assert value.dtype == own[name].dtype
        if value.is_floating_point():
            assert torch.equal(value, state[name].to(value.dtype))


@pytest.mark.parametrize("form", ["legacy", "safetensors"])
def test_other_formats(form, trained, tmp_path):
    state = trained.network.state_dict()
    if form == "legacy":
        buffer = io.BytesIO()
        torch.save(state, buffer, _use_new_zipfile_serialization=False)
        content = buffer.getvalue()
    else:
        content = safetensors(state)
    model, _ = take(content, tmp_path)
    model.mean, model.std = trained.mean, trained.std
    assert torch.equal(model(IMAGES), trained(IMAGES))


def test_a_file_of_ours_brings_its_normalisation_unless_another_is_set(trained, tmp_path):
    model, notes = take(trained.state_dict(), tmp_path)
    assert torch.equal(model(IMAGES), trained(IMAGES)) and "normalization" in notes[0]
    model, _ = take(trained.state_dict(), tmp_path, mean=0.25)
    assert model.mean.unique().tolist() == [0.25] and torch.equal(model.std, trained.std)
