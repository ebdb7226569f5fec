"""What a user can do wrong: one sentence that names the value and what is allowed."""

import numpy as np
import pytest
import torch
from torch import nn

import gauntlet

MODEL = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
IMAGES = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(12) % 10


def with_images(images):
    return {"images": images}


ATTACK = {
    "uint8": ({"images": (IMAGES * 255).byte()}, "uint8.*divide values of 0 to 255 by 255"),
    "to 255": ({"images": IMAGES * 255}, r"values from .* to 25.*divide values of 0 to 255 by 255"),
    "normalized": ({"images": IMAGES * 4 - 2}, "normalization by mean .* belongs into the model"),
    "nan": ({"images": IMAGES / 0}, "not finite"),
    "one image": ({"images": IMAGES[0]}, r"shape \[1, 8, 8\]; allowed is \[N, C, H, W\]"),
    "no image": ({"images": IMAGES[:0], "labels": LABELS[:0]}, r"shape \[0, 1, 8, 8\]"),
    "a list": ({"images": [0.5]}, "images is a list; allowed is a PyTorch tensor or a NumPy array"),
    "texts": ({"images": np.array(["a"])}, "array of <U1; allowed are numbers"),
    "other size": ({"images": torch.rand(12, 3, 8, 8)}, "model fails on images of 3x8x8"),
    "float labels": ({"labels": LABELS.float()}, "labels holds float32; allowed are whole numbers"),
    "one-hot": (
        {"labels": torch.eye(10).long()},
        r"shape \[10, 10\]; allowed is \[12\]",
    ),
    "few labels": ({"labels": LABELS[:3]}, r"labels has shape \[3\]; allowed is \[12\]"),
    "a class too many": ({"labels": LABELS + 1}, "labels has a 10.*allowed are 0 to 9"),
    "below 0": ({"labels": LABELS - 1}, "labels has a -1; allowed are 0 and above"),
    "a model's name": ({"model": "resnet"}, "model is a str; allowed is a torch.nn.Module"),
    "no logits": ({"model": lambda x: "7"}, "answers 8 images with a str; allowed are logits"),
    "few rows": ({"model": lambda x: MODEL(x)[:3]}, r"with float32 \[3, 10\]; allowed are"),
    "two tensors": ({"model": lambda x: (MODEL(x),) * 2}, "answers 8 images with a tuple of"),
    "one logit": (
        {"model": lambda x: MODEL(x)[:, :1]},
        r"labels has a \d, but the model gives 2 logits",
    ),
    "nan logits": ({"model": lambda x: MODEL(x) / 0}, "logits .* are not finite"),
    "unknown attack": ({"attack": "pdg"}, "attack is 'pdg'; allowed is one of .*nearest is 'pgd'"),
    "no text": ({"attack": None}, "attack is None; allowed is one of"),
    "unknown setting": (
        {"attack": "pgd", "stepz": 3},
        "stepz is no known key; allowed are eps,",
    ),
    "kind": ({"attack": "pgd", "kind": "fgsm"}, "kind is no setting of attack 'pgd'"),
    "steps": ({"attack": "pgd", "steps": 0}, "steps is 0; allowed is a whole number of 1 or more"),
    "unknown norm": ({"norm": "l7"}, "norm is 'l7'; allowed is one of l2, linf"),
    "no such norm here": ({"norm": "l1"}, "norm is 'l1'; allowed is one of l2, linf"),
    "eps 8": ({"eps": 8}, "eps is 8; allowed for linf is 0 to 1.*8/255"),
    "eps below 0": (
        {"eps": -0.1},
        "eps is -0.1; allowed is a number of 0 or more or a fraction as text such as '8/255'.$",
    ),
    "eps list": ({"eps": [0.1, 0.2]}, "allowed is one number"),
    "eps array": ({"eps": np.array([0.1, 0.2])}, "allowed is one number"),
    "complex": ({"images": IMAGES + 0j}, "images holds complex64; allowed are real numbers"),
    "sparse": (
        {"images": IMAGES.to_sparse()},
        "images is a sparse, .* tensor; allowed is a plain one",
    ),
    "meta": ({"labels": LABELS.to("meta")}, "labels is a .* meta tensor; allowed is a plain one"),
    "eps of noise": ({"attack": "gaussian_noise", "eps": 0.1}, "has no norm and no eps"),
    "seed": ({"seed": -1}, "seed is -1; allowed is a whole number from 0"),
    "batch": ({"batch": 0}, "batch is 0; allowed is a whole number of 1 or more"),
    "precision": ({"precision": "half"}, "precision is 'half'; allowed are float32"),
    "3 classes at least": (
        {"model": lambda x: MODEL(x)[:, :2], "labels": LABELS % 2, "attack": "apgd", "loss": "dlr"},
        "dlr",
    ),
}


def refused(function, change, pattern):
    given = {"model": MODEL, "images": IMAGES, "labels": LABELS} | change
    with pytest.raises(ValueError, match=pattern) as caught:
        function(**given)
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text and "asked" not in text
    return text


@pytest.mark.parametrize("case", ATTACK)
def test_attack(case):
    refused(gauntlet.attack, *ATTACK[case])


EVALUATE = {
    "norm": ({"norm": "l7"}, "norm is 'l7'; allowed are linf, l2, l1"),
    "descending": ({"eps": [0.2, 0.1]}, "allowed is an ascending list, each eps once"),
    "mixed": ({"eps": ["8/255", 0.01]}, "allowed is an ascending list, each eps once"),
    "a number of attacks": ({"attacks": 5}, "attacks is 5; allowed is a list of names"),
    "yes": ({"certificates": True, "attacks": "fgsm"}, "certificates is True; allowed is a list"),
    "a list of kinds": (
        {"attacks": [{"kind": ["pgd"]}]},
        "attacks has .*allowed are names, and dicts with a kind",
    ),
    "no eps": ({"eps": []}, "allowed is one number or an ascending list"),
    "no attack": ({"attacks": []}, "attacks is empty; allowed is one attack or more"),
    "a number": ({"attacks": [3]}, "attacks has 3; allowed are names, and dicts with a kind"),
    "no kind": ({"attacks": [{"steps": 3}]}, "allowed are names, and dicts with a kind"),
    "another threat": ({"attacks": ["spatial"]}, "'spatial' has no norm and no eps"),
    "two norms": ({"attacks": [{"kind": "pgd", "norm": "l2"}]}, "norm is no setting"),
    "certificates": (
        {"certificates": ["proof"]},
        "certificate is 'proof'; allowed is one of",
    ),
    "l1": ({"norm": "l1", "attacks": ["pgd"]}, "norm is 'l1'; allowed is one of l2, linf"),
}


@pytest.mark.parametrize("case", EVALUATE)
def test_evaluate(case):
    refused(gauntlet.evaluate, *EVALUATE[case])


CERTIFY = {
    "kind": ({"certificate": "proof"}, "certificate is 'proof'; allowed is one of crown, ibp"),
    "sigma": ({"certificate": "smoothing"}, "sigma is missing"),
    "norm": ({"norm": "l7"}, "norm is 'l7'; allowed is one of l1, l2, linf"),
    "eps": ({"eps": 0}, "eps is 0; allowed is a number above 0 or a fraction as text.*255'.$"),
    "eps array": ({"eps": np.array([0.1, 0.2])}, "allowed is one number"),
    "slopes": ({"certificate": "crown", "slopes": "steep"}, "slopes is 'steep'; allowed is one of"),
    "unknown": ({"certificate": "ibp", "slopes": "alpha"}, "slopes is no known key"),
}


@pytest.mark.parametrize("case", CERTIFY)
def test_certify(case):
    refused(gauntlet.certify, *CERTIFY[case])


AUDIT = {
    "check": ({"checks": ["gradient"]}, r"checks\[0\] is 'gradient'.*nearest is 'gradients'"),
    "one check": ({"checks": "gradient"}, r"checks\[0\] is 'gradient'"),
    "a number": ({"checks": 5}, "checks is 5; allowed is a list of names"),
    "norm": ({"norm": "l1"}, "norm is 'l1'; allowed is one of l2, linf"),
    "setting": ({"stepz": 5}, "stepz is no known key.*nearest is 'steps'"),
    "limit": ({"limit": 0}, "limit is 0; allowed is a whole number"),
    "train": ({"train": IMAGES}, r"train must be a pair \(images, labels\)"),
    "train images": ({"train": (IMAGES * 255, LABELS)}, "train images has values from"),
    "all wrong": (
        {"labels": LABELS * 0 + 9, "model": lambda x: MODEL(x) * 0 + ROW},
        "right about",
    ),
}
ROW = torch.arange(10).flip(0).float()


@pytest.mark.parametrize("case", AUDIT)
def test_audit(case):
    refused(gauntlet.audit, {"eps": 0.1} | AUDIT[case][0], AUDIT[case][1])
