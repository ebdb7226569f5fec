"""Input gradients must be there: not zero, not tiny, not infinite."""

import torch

from gauntlet.audit._finding import STRAIGHT, Finding, graded, measured
from gauntlet.audit._subject import Subject, share

WARN_AT, FAIL_AT = 0.01, 0.1
TINY = 1e-20  # largest entry of a gradient by a value in [0, 1]
ORDER = 10  # place among the checks


def gradients(subject: Subject) -> Finding:
    """Count images whose cross-entropy or margin has a zero, tiny or non-finite gradient.

    Sources: Athalye et al. 2018, "Obfuscated Gradients Give a False Sense of Security"; Carlini &
    Wagner 2016, "Defensive Distillation is Not Robust to Adversarial Examples".

    Measured (see `graded`): none is lost on honest models; their median size goes down to 3e-10
    (a plain network of MNIST, trained to a loss of 3e-5). 0.78 to 1 are zero where logits
    saturate or gradients are cut off.
    """
    near = (subject.images + subject.nearby("gradients", subject.eps / 2)).clamp(0, 1)
    right = subject.correct
    loss = subject.cross_entropy_gradient(near).flatten(1)[right]
    border = subject.margin_gradient(near).flatten(1)[right]
    finite = loss.isfinite().all(1)
    size = torch.where(finite, loss.abs().nan_to_num().amax(1), 1.0)
    evidence = {
        "zero": share(size == 0),
        "tiny": share((size > 0) & (size < TINY)),
        "not_finite": share(~finite),
        "zero_of_margin": share(border.abs().amax(1) == 0),
        "median_size": float(f"{float(size.median()):.3g}") if len(size) else 0.0,
    }
    lost = sum(evidence[name] for name in ("zero", "tiny", "not_finite"))
    worst = round(max(lost, evidence["zero_of_margin"]), 4)
    verdict = graded(worst, WARN_AT, FAIL_AT)
    if verdict == "pass":
        meaning = measured(
            *(worst, WARN_AT, "Input gradients are neither zero nor tiny nor infinite."),
            "The share of images with a zero, tiny or infinite gradient is",
        )
        return Finding("gradients", verdict, evidence, meaning)
    return Finding(
        "gradients",
        verdict,
        evidence,
        "Images have no usable input gradient, so gradient attacks cannot move.",
        "Attack with the margin or, where that has no gradient, with a straight-through gradient.",
        STRAIGHT,
    )
