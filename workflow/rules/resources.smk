"""Memory, time, cores, GPUs and priorities of jobs, from the study; no rules."""

from gauntlet.study.cost.resources import Sizes

SIZES = Sizes(SETTINGS)


def sized(rule):
    """Give a rule's memory and time, by its jobs' work; both double with every attempt."""

    def mem_mb(wildcards, attempt):
        return SIZES.memory(rule, dict(wildcards.items()), attempt)

    def runtime(wildcards, attempt):
        return SIZES.minutes(rule, dict(wildcards.items()), attempt)

    return {"mem_mb": mem_mb, "runtime": runtime}


def ranked(rule):
    """Give a rule's priority: jobs at the head of the longest chain of work start first."""
    return lambda wildcards: SIZES.priority(rule, dict(wildcards.items()))


def train_devices(wildcards):
    """Give the number of devices, or of processes on a CPU, that share a training."""
    settings = SETTINGS["defenses"][wildcards.defense]
    return settings.get("devices", SETTINGS["training"]["devices"])


def train_threads(wildcards):
    """Give the cores that a training uses: `threads` for each of its processes."""
    return THREADS * train_devices(wildcards)


def train_gpus(wildcards):
    """Give the GPUs that a training uses."""
    return GPUS * train_devices(wildcards)
