"""How long jobs take together: list scheduling on slots. Standard library only."""

import heapq
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from typing import NamedTuple


class Task(NamedTuple):
    """A job for the schedule: its seconds, what it waits for, its rank, and how many slots."""

    seconds: float
    needs: Sequence[str] = ()
    rank: float = 0.0
    slots: int = 1


def critical_seconds(tasks: Mapping[str, Task]) -> float:
    """Give the length of the longest chain; no number of slots does it in less."""
    return max(upward_ranks(tasks).values(), default=0.0)


def makespan(tasks: Mapping[str, Task], slots: int) -> float:
    """Give the time until all is done, if free slots take the ready task of highest rank.

    Tasks of equal rank start in the order of the mapping; a task that needs more slots than there
    are takes all of them.
    """
    graph, place = _graph(tasks), {name: number for number, name in enumerate(tasks)}
    graph.prepare()
    ready: list[tuple[float, int, str]] = []
    running: list[tuple[float, int, str]] = []
    now, free = 0.0, slots
    while graph.is_active():
        for name in graph.get_ready():
            heapq.heappush(ready, (-tasks[name].rank, place[name], name))
        while ready and min(tasks[ready[0][2]].slots, slots) <= free:
            _, number, name = heapq.heappop(ready)
            free -= min(tasks[name].slots, slots)
            heapq.heappush(running, (now + tasks[name].seconds, number, name))
        now, _, name = heapq.heappop(running)
        free += min(tasks[name].slots, slots)
        graph.done(name)
    return now


def upward_ranks(tasks: Mapping[str, Task]) -> dict[str, float]:
    """Give the length of each task's longest chain to the end, itself included."""
    later: dict[str, float] = {}
    ranks: dict[str, float] = {}
    for name in reversed(ordered(tasks)):
        ranks[name] = tasks[name].seconds + later.get(name, 0.0)
        for need in tasks[name].needs:
            later[need] = max(later.get(need, 0.0), ranks[name])
    return ranks


def ordered(tasks: Mapping[str, Task]) -> list[str]:
    """Give the tasks' names, each after what it waits for; ValueError if they wait in a cycle."""
    return list(_graph(tasks).static_order())


def _graph(tasks: Mapping[str, Task]) -> TopologicalSorter:
    return TopologicalSorter(
        {name: [n for n in task.needs if n in tasks] for name, task in tasks.items()}
    )
