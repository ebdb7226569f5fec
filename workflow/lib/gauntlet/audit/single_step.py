"""Training with single steps can collapse: the model is then robust to one step only."""

from gauntlet.audit._finding import FAIL, PASS, STRENGTH, Finding
from gauntlet.audit._subject import Subject

GAP, HIGH = 0.3, 0.5  # one-step above PGD accuracy; one-step accuracy, as shares
ORDER = 130  # place among the checks


def single_step(subject: Subject) -> Finding:
    """Look for catastrophic overfitting in the training's history and in the model itself.

    The model shows it where accuracy under one full step is high, much higher than under PGD, and
    no lower than under half a step, which an honest model never is. Sources: Wong et al. 2020,
    "Fast is better than free"; Kim et al. 2021, "Understanding Catastrophic Overfitting in
    Single-step Adversarial Training".

    Measured (see `graded`): honest models have 0.035 to 0.485 more accuracy under half a step
    than under a full one (digits, MNIST), collapsed ones 0.01 to 0.1 less, and none of theirs
    is left under PGD.
    """
    full, half = (subject.accuracy(subject.one_step(eps)) for eps in (None, subject.eps / 2))
    several, history = subject.accuracy(subject.pgd()), subject.collapse
    shown = full > HIGH * subject.clean and full - several > GAP and full >= half
    evidence = {
        "one_step_accuracy": full,
        "half_step_accuracy": half,
        "iterative_accuracy": several,
        "history": history or "",
    }
    if not history and not shown:
        meaning = "The model is not robust to single steps alone."
        return Finding("single_step", PASS, evidence, meaning)
    return Finding(
        "single_step",
        FAIL,
        evidence,
        "The model is robust to single steps only: its training collapsed.",
        "Train with several steps, a smaller eps or early stopping, and never report one step.",
        STRENGTH,
    )
