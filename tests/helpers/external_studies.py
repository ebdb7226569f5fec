"""Studies of one external model."""

from gauntlet.study.matrix import AS_GIVEN

GIVEN = {"arch": "mlp", "weights": "theirs.pt"}
SHA = "0" * 64
LAYERS = [
    {"layer": "conv2d", "channels": 4, "kernel": 3, "padding": 1},
    {"layer": "residual", "layers": [{"layer": "conv2d", "channels": 4, "kernel": 1}]},
    {"layer": "max_pool2d", "kernel": 2},
    {"layer": "flatten"},
    {"layer": "linear", "features": 10},
]
STUDY = {
    "datasets": ["digits"],
    "models": ["theirs"],
    "defenses": [AS_GIVEN],
    "attacks": ["pgd40"],
    "seeds": [3, 4],
}


def study(model=None, **changes):
    """A study of one external model, with changes."""
    return {"models": {"theirs": model or GIVEN}, "studies": {"s": STUDY | changes}}
