"""A cluster second by second: tasks, GPUs, and the habits of those who submit and watch."""

import heapq
import math
from collections import defaultdict
from collections.abc import Mapping

from gauntlet.study.cost.schedule import Task, ordered

# What each row of the benchmark does: who goes first, tasks that travel together, habits.
POLICIES: dict[str, tuple[str, int, dict[str, float]]] = {
    "longest chain first (as `priority:` says)": ("rank", 1, {}),
    "in the order of the plan": ("order", 1, {}),
    "shortest first": ("shortest", 1, {}),
    "longest chain, groups of 5": ("rank", 5, {}),
    "longest chain, groups of 25": ("rank", 25, {}),
    "longest chain, seen every 10 s": ("rank", 1, {"watch": 10.0}),
    "longest chain, seen every 60 s": ("rank", 1, {"watch": 60.0}),
    "longest chain, 1 submission a second": ("rank", 1, {"pace": 1.0}),
    "longest chain, 10 submissions a second": ("rank", 1, {"pace": 0.1}),
    "in the order of the plan, seen every 10 s": ("order", 1, {"watch": 10.0}),
}


def played(
    tasks: Mapping[str, Task], gpus: int, policy: str, watch: float = 0.0, pace: float = 0.0
) -> float:
    """Give the seconds until all is done.

    A task with slots takes a GPU, the others none. An end is noticed when the watcher looks next,
    every `watch` seconds; its GPU is free, and its followers ready, only then. Submissions are
    `pace` seconds apart.
    """
    keys = _keys(tasks, policy)
    waits = {name: sum(need in tasks for need in task.needs) for name, task in tasks.items()}
    followers = defaultdict(list)
    for name, task in tasks.items():
        for need in (need for need in task.needs if need in tasks):
            followers[need].append(name)
    ready: dict[bool, list] = {True: [], False: []}  # that take a GPU, that take none
    for name in (name for name, count in waits.items() if not count):
        heapq.heappush(ready[tasks[name].slots > 0], (keys[name], name))
    running: list[tuple[float, str]] = []
    now, free, door = 0.0, gpus, 0.0
    while running or ready[True] or ready[False]:
        while ready[False] or (ready[True] and free):
            kind = bool(ready[True] and free)
            _, name = heapq.heappop(ready[kind])
            free -= kind
            door = max(door, now) + pace
            end = door + tasks[name].seconds
            seen = math.ceil(end / watch) * watch if watch else end
            heapq.heappush(running, (seen, name))
        now, name = heapq.heappop(running)
        free += tasks[name].slots > 0
        for follower in followers[name]:
            waits[follower] -= 1
            if not waits[follower]:
                heapq.heappush(ready[tasks[follower].slots > 0], (keys[follower], follower))
    return now


def _keys(tasks: Mapping[str, Task], policy: str) -> dict[str, float]:
    if policy == "rank":
        return {name: -task.rank for name, task in tasks.items()}
    if policy == "shortest":
        return {name: task.seconds for name, task in tasks.items()}
    return {name: float(place) for place, name in enumerate(tasks)}


def bundled(tasks: Mapping[str, Task], size: int, start: float) -> dict[str, Task]:
    """Let up to `size` tasks that wait for the same travel together, and start once."""
    groups, home = defaultdict(list), {}
    for name in ordered(tasks):
        task = tasks[name]
        key = (task.slots > 0, tuple(task.needs)) if task.needs and task.slots else name
        groups[key].append(name)
    parts = [names[i : i + size] for names in groups.values() for i in range(0, len(names), size)]
    for names in parts:
        home |= dict.fromkeys(names, names[0])
    made = {}
    for names in parts:
        members = [tasks[name] for name in names]
        seconds = sum(task.seconds for task in members) - start * (len(names) - 1)
        needs = tuple(dict.fromkeys(home[n] for task in members for n in task.needs if n in home))
        rank = max(task.rank for task in members)
        made[names[0]] = members[0]._replace(seconds=seconds, needs=needs, rank=rank)
    return made
