"""Accuracy under noise is not adversarial robustness."""

from gauntlet.audit._finding import INFO, PASS, Finding
from gauntlet.audit._subject import Subject

HIGH, LOW, DRAWS = 0.8, 0.3, 10  # shares of the clean accuracy; noisy copies
ORDER = 150  # place among the checks


def noise_only(subject: Subject) -> Finding:
    """Compare accuracy under Gaussian noise of the ball's size with that under gradients.

    The noise has the standard deviation eps in each value (linf), or the length eps (l2). Source:
    Ford et al. 2019, "Adversarial Examples Are a Natural Consequence of Test Error in Noise".

    Measured (see `graded`): plain models of digits keep 0.83 under noise and 0.19 to 0.2 under
    PGD, PGD-trained ones 0.87 to 0.91 and 0.61 to 0.66.
    """
    values = subject.images[0].numel() if len(subject.images) else 1
    sigma = subject.eps if subject.norm == "linf" else subject.eps / values**0.5
    noise = subject.accuracy(subject.attack("noise", sigma=sigma, draws=DRAWS))
    hostile = subject.accuracy(subject.pgd())
    evidence = {"sigma": round(sigma, 6), "accuracy_under_noise": noise, "robust_accuracy": hostile}
    if noise < HIGH * subject.clean or hostile > LOW * subject.clean:
        meaning = "The model is not accurate under noise alone."
        return Finding("noise_only", PASS, evidence, meaning)
    return Finding(
        "noise_only",
        INFO,
        evidence,
        "The model is accurate under noise and not under PGD: noise says nothing about attacks.",
        "Do not present accuracy under noise or corruptions as adversarial robustness.",
    )
