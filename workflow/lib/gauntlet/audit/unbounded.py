"""An attack without a bound must succeed on every image."""

from gauntlet.audit._finding import FAIL, PASS, STRAIGHT, Finding
from gauntlet.audit._subject import Subject

SPREADS = 2  # standard deviations of chance on so many images
ORDER = 90  # place among the checks


def unbounded(subject: Subject) -> Finding:
    """Attack in a ball that holds every image, from the image itself: accuracy must reach chance.

    Sources: Carlini et al. 2019, "On Evaluating Adversarial Robustness"; Athalye et al. 2018.

    Measured (see `graded`): accuracy is 0 for every honest model, 0.31 to 0.995 for models with a
    trick.
    """
    outcome = subject.pgd(eps=subject.largest_eps, random_start=False)
    left, chance = subject.accuracy(outcome), 1 / subject.classes
    spread = (chance * (1 - chance) / len(subject.labels)) ** 0.5
    evidence = {"eps": subject.largest_eps, "accuracy": left, "chance": round(chance, 4)}
    if left <= chance + SPREADS * spread:
        meaning = (
            f"With unlimited changes the attack leaves an accuracy of {left:.4g}, at most chance."
        )
        return Finding("unbounded", PASS, evidence, meaning)
    return Finding(
        "unbounded",
        FAIL,
        evidence,
        "Even unlimited changes leave an accuracy above chance, so it is the attack that fails.",
        "Attack with the margin, a straight-through gradient and random search.",
        STRAIGHT,
    )
