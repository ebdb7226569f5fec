"""Gauntlet as a library: attack, evaluate, certify, audit and load a model in one call each.

Every function takes a model from images in [0, 1] to logits, images [N, C, H, W] and labels [N],
as PyTorch tensors or NumPy arrays, and leaves the model as it was. Settings have the names and
the defaults of the workflow's configuration (workflow/schemas/config.schema.yaml).
"""

from gauntlet.api.attack_images import attack
from gauntlet.api.audit_model import audit
from gauntlet.api.certify_images import certify
from gauntlet.api.evaluate_model import evaluate
from gauntlet.api.load import load_model

__all__ = ["attack", "audit", "certify", "evaluate", "load_model"]
