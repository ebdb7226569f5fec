"""Resources and priorities of jobs, from the study; no rules."""

from gauntlet.study.cost.resources import Sizes

SIZES = Sizes(SETTINGS)


def sized(rule):
    """Give a rule's memory and time, by its jobs' work; both are doubled with every attempt."""

    def mem_mb(wildcards, attempt):
        return SIZES.memory(rule, dict(wildcards.items()), attempt)

    def runtime(wildcards, attempt):
        return SIZES.minutes(rule, dict(wildcards.items()), attempt)

    return {"mem_mb": mem_mb, "runtime": runtime}


def ranked(rule):
    """Give a rule's priority: jobs at the head of the longest chain of work start first."""
    return lambda wildcards: SIZES.priority(rule, dict(wildcards.items()))
