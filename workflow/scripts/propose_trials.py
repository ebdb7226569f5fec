"""Choose the settings of a round of trials."""

from gauntlet.runtime.job import run


def propose_trials(results: list[str], proposal: str, *, spec: dict) -> None:
    """Write the settings of each trial of the round, and below which values its trials end early.

    `results` are the trials of all rounds before, every seed of each.
    """
    from gauntlet.core.records import read_json, write_json
    from gauntlet.search import proposals, trials

    before = [read_json(path) for path in results]
    proposed = proposals.propose(spec, trials.joined(before))
    first = (spec["round"] - 1) * spec["parallel"] + 1
    found = [
        {"trial": first + place, "settings": settings, "start": settings == spec["start"]}
        for place, settings in enumerate(proposed)
    ]
    limits = trials.thresholds(before) if spec["pruning"] else {}
    write_json(proposal, {"round": spec["round"], "thresholds": limits, "trials": found})


if __name__ == "__main__":
    run(propose_trials, snakemake)
