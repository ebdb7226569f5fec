"""The loss of a robust model is nearly linear around an image."""

from gauntlet.attacks.base.gradients import length
from gauntlet.audit._finding import PASS, STRENGTH, Finding, graded, skipped
from gauntlet.audit._subject import Subject

CLAIMED = 0.5  # share of the clean accuracy that one step must leave for a claim of robustness
WARN_BELOW, FAIL_BELOW = 0.4, 0.2
ORDER = 120  # place among the checks


def linearity(subject: Subject) -> Finding:
    """Compare gradients at the image with gradients at random points of the ball.

    Only a model that is robust to one step should be locally linear. Sources: Andriushchenko
    & Flammarion 2020, "Understanding and Improving Fast Adversarial Training" (gradient alignment);
    Qin et al. 2019, "Adversarial Robustness through Local Linearization".

    Measured (see `graded`): the cosine is 0.79 to 0.94 on honest models trained by an attack,
    0.29 on a plain network of MNIST that is robust to one step, 0.02 to 0.16 after a collapse.
    """
    if subject.accuracy(subject.one_step()) < CLAIMED * subject.clean:
        why = "One step lowers the accuracy much, so no linear loss is expected."
        return skipped("linearity", why)
    near = (subject.images + subject.nearby("linearity", subject.eps)).clamp(0, 1)
    slopes = [
        subject.cross_entropy_gradient(points).flatten(1)[subject.correct]
        for points in (subject.images, near)
    ]
    here, there = (slope.double() / length(slope)[:, None] for slope in slopes)
    aligned = round(float((here * there).sum(1).nan_to_num().mean()), 4)  # cosine, 0 without slope
    verdict = graded(-aligned, -WARN_BELOW, -FAIL_BELOW)
    evidence = {
        "gradient_alignment": aligned,
        "one_step_accuracy": subject.accuracy(subject.one_step()),
    }
    if verdict == PASS:
        meaning = "Gradients have similar directions all over the ball."
        return Finding("linearity", verdict, evidence, meaning)
    return Finding(
        "linearity",
        verdict,
        evidence,
        "The model is robust to one step, but its gradients have other directions nearby.",
        "Trust only attacks with many steps and restarts.",
        STRENGTH,
    )
