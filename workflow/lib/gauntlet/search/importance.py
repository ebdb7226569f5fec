"""Which setting of a search mattered: the share of the values' variance that each explains."""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from gauntlet.search.proposals import distribution, sampler_seed, study_of
from gauntlet.search.trials import COMPLETE, Trial

LEAST = 6  # complete trials without which nothing can be said


def importances(ranges: Mapping[str, Any], trials: Sequence[Trial], seed: int) -> dict[str, float]:
    """Give each setting's importance, in shares that add up to 1, the largest first.

    It is empty with too few complete trials, or if all of them have one value.
    Source: Hutter et al. 2014, "An Efficient Approach for Assessing Hyperparameter Importance"
    (fANOVA: a random forest over the complete trials), as Optuna has it.
    """
    complete = [trial for trial in trials if trial.state == COMPLETE]
    if len(complete) < LEAST or len({trial.value for trial in complete}) == 1:
        return {}
    known = {key: distribution(tried) for key, tried in ranges.items()}
    study = study_of(known, complete, seed=0)
    evaluator = FanovaImportanceEvaluator(seed=sampler_seed(seed, "importance"))
    found = get_param_importances(study, evaluator=evaluator)
    return {key: round(float(share), 4) for key, share in found.items()}
