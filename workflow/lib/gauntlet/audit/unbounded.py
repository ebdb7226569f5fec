"""An attack without a bound must fell every image."""

from gauntlet.audit._finding import FAIL, PASS, STRAIGHT, Finding
from gauntlet.audit._subject import Subject

SPREADS = 2  # standard deviations of chance on so many images
ORDER = 90  # place among the checks


def unbounded(subject: Subject) -> Finding:
    """Attack in a ball that holds every image, from the image itself: accuracy must reach chance.

    Sources: Carlini et al. 2019, "On Evaluating Adversarial Robustness"; Athalye et al. 2018.

    Measured (see `graded`): 0 is left of every honest model, 0.31 to 0.995 of models with a
    trick.
    """
    outcome = subject.pgd(eps=subject.whole, random_start=False)
    left, chance = subject.accuracy(outcome), 1 / subject.classes
    spread = (chance * (1 - chance) / len(subject.labels)) ** 0.5
    evidence = {"eps": subject.whole, "accuracy": left, "chance": round(chance, 4)}
    if left <= chance + SPREADS * spread:
        meaning = "With unlimited changes the attack fells (nearly) every image, as it must."
        return Finding("unbounded", PASS, evidence, meaning)
    return Finding(
        "unbounded",
        FAIL,
        evidence,
        "Even unlimited changes leave images standing, so it is the attack that fails.",
        "Attack with a loss that no scale hides, a straight-through gradient and random search.",
        STRAIGHT,
    )
