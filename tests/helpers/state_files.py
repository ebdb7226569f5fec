"""State dicts of a small network of ours: renamed, saved and imported."""

from pathlib import Path

import torch
from safetensors.torch import save

from gauntlet.models import build_model
from gauntlet.stages.import_model import import_weights
from tests.helpers import tiny

NET = {"arch": "preact_resnet18", "width": 2}
IMAGES = torch.rand(4, *tiny.SHAPE, generator=torch.Generator().manual_seed(0))


def spec(path="w.pt", **changes):
    """What an import job is told of a small network of ours."""
    model = NET | changes
    return {"model": model, "name": Path(path).name, "sha256": None, "seed": 0}


def take(content, tmp_path, name="w.pt", **changes):
    """Save with PyTorch, or write bytes; import; give the model that comes of it and the notes."""
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    given = import_weights(spec(name, **changes), tiny.SHAPE, 2, str(path))
    model = build_model(NET | changes, tiny.SHAPE, 2, 0).eval()
    model.load_state_dict(given.state)
    return model, given.notes


def prefixed(state, start):
    return {start + name: value for name, value in state.items()}


def safetensors(state) -> bytes:
    return save({name: value.contiguous() for name, value in state.items()})


def renamed(state):
    return {f"layer{i}.{name.rpartition('.')[2]}": v for i, (name, v) in enumerate(state.items())}
