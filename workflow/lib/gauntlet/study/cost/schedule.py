"""How long jobs take together: list scheduling on slots. Standard library only."""

import heapq
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Task(NamedTuple):
    """A job for the schedule: its seconds, what it waits for, its rank, and how many slots."""

    seconds: float
    needs: Sequence[str] = ()
    rank: float = 0.0
    slots: int = 1


def critical_seconds(tasks: Mapping[str, Task]) -> float:
    """Give the length of the longest chain; no number of slots does it in less."""
    ends: dict[str, float] = {}
    for name in ordered(tasks):
        task = tasks[name]
        ends[name] = task.seconds + max((ends[n] for n in task.needs if n in ends), default=0.0)
    return max(ends.values(), default=0.0)


def makespan(tasks: Mapping[str, Task], slots: int) -> float:
    """Give the time until all is done, if free slots take the ready task of highest rank.

    Tasks of equal rank start in the order of the mapping; a task that needs more slots than there
    are takes all of them.
    """
    waits = {name: sum(n in tasks for n in task.needs) for name, task in tasks.items()}
    followers = _followers(tasks)
    place = {name: number for number, name in enumerate(tasks)}
    ready = [(-tasks[n].rank, place[n], n) for n, count in waits.items() if count == 0]
    heapq.heapify(ready)
    running: list[tuple[float, int, str]] = []
    now, free = 0.0, slots
    while ready or running:
        while ready and min(tasks[ready[0][2]].slots, slots) <= free:
            _, number, name = heapq.heappop(ready)
            free -= min(tasks[name].slots, slots)
            heapq.heappush(running, (now + tasks[name].seconds, number, name))
        now, _, name = heapq.heappop(running)
        free += min(tasks[name].slots, slots)
        for follower in followers.get(name, ()):
            waits[follower] -= 1
            if waits[follower] == 0:
                heapq.heappush(ready, (-tasks[follower].rank, place[follower], follower))
    return now


def upward_ranks(tasks: Mapping[str, Task]) -> dict[str, float]:
    """Give each task's longest chain to the end, itself included: who starts first by that wins."""
    followers, ranks = _followers(tasks), {}
    for name in reversed(ordered(tasks)):
        later = max((ranks[n] for n in followers.get(name, ())), default=0.0)
        ranks[name] = tasks[name].seconds + later
    return ranks


def ordered(tasks: Mapping[str, Task]) -> list[str]:
    """Give the tasks' names, each after what it waits for; ValueError if they wait in a circle."""
    waits = {name: sum(n in tasks for n in task.needs) for name, task in tasks.items()}
    followers, done = _followers(tasks), [n for n, count in waits.items() if count == 0]
    for name in done:
        for follower in followers.get(name, ()):
            waits[follower] -= 1
            if waits[follower] == 0:
                done.append(follower)
    if len(done) < len(tasks):
        raise ValueError("some tasks wait for one another in a circle")
    return done


def _followers(tasks: Mapping[str, Task]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, task in tasks.items():
        for need in task.needs:
            if need in tasks:
                found.setdefault(need, []).append(name)
    return found
