"""The loss of a robust model is nearly linear around an image."""

import torch

from gauntlet.audit._finding import FAIL, PASS, STRENGTH, Finding, graded, skipped
from gauntlet.audit._subject import Subject

CLAIMED = 0.5  # share of the clean accuracy that one step must leave for a claim of robustness
WARN_BELOW, FAIL_BELOW = 0.4, 0.2
ORDER = 120  # place among the checks


def linearity(subject: Subject) -> Finding:
    """Compare gradients at the image with gradients at random points of the ball.

    Only a model that withstands one step is expected to be locally linear. Sources: Andriushchenko
    & Flammarion 2020, "Understanding and Improving Fast Adversarial Training" (gradient alignment);
    Qin et al. 2019, "Adversarial Robustness through Local Linearization".

    Measured (see `graded`): the cosine is 0.79 to 0.94 on honest models trained by an attack,
    0.29 on a plain network of MNIST that withstands one step, 0.02 to 0.16 after a collapse.
    """
    if subject.accuracy(subject.one_step()) < CLAIMED * subject.clean:
        why = "The model falls to one step, so no linear loss is expected of it."
        return skipped("linearity", why)
    near = (subject.images + subject.nearby("linearity", subject.eps)).clamp(0, 1)
    slopes = [
        subject.cross_entropy_gradient(points).flatten(1)[subject.right]
        for points in (subject.images, near)
    ]
    aligned = round(float(torch.nn.functional.cosine_similarity(*slopes).nan_to_num().mean()), 4)
    verdict = graded(-aligned, -WARN_BELOW, -FAIL_BELOW)
    evidence = {
        "gradient_alignment": aligned,
        "one_step_accuracy": subject.accuracy(subject.one_step()),
    }
    if verdict == PASS:
        meaning = "Gradients point alike all over the ball."
        return Finding("linearity", verdict, evidence, meaning)
    return Finding(
        "linearity",
        verdict,
        evidence,
        "The model withstands one step, but its gradients point elsewhere a little further on.",
        "Trust attacks of many steps and restarts only.",
        STRENGTH if verdict == FAIL else "",
    )
