"""The order in which focal units choose: given, or by the distance of what each would choose."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from causalformula.numerics.matching.task import CLOSEST, Task

# What a focal unit would choose now: the distance, and the place in the pool; None where nothing is left for it.
Best = Callable[[int], "tuple[float, int] | None"]
Choose = Callable[[int, int], None]


def choose_all(task: Task, best: Best, choose: Choose) -> None:
    """Let every focal unit choose, round by round.

    Parameters
    ----------
    task : Task
    best : callable
        ``best(k)`` of a focal unit's place.
    choose : callable
        ``choose(k, c)`` records the match and uses the pool up.
    """
    wanted = task.wanted.tolist()
    for turn in range(task.most):
        ready = [k for k in range(len(wanted)) if wanted[k] > turn]
        if isinstance(task.order, str) and task.order == CLOSEST:
            _closest_first(ready, best, choose)
            continue
        for k in _in_order(task, ready, best):
            found = best(k)
            if found is not None:
                choose(k, found[1])


def _in_order(task: Task, ready: list[int], best: Best) -> Iterable[int]:
    if not isinstance(task.order, str):
        there = set(ready) if len(ready) < len(task.focal) else None
        return (k for k in task.order.tolist() if there is None or k in there)
    found = {k: at for k in ready if (at := best(k)) is not None}
    return sorted(found, key=lambda k: -found[k][0])


def _closest_first(ready: list[int], best: Best, choose: Choose) -> None:
    """The nearest pair of all that are left, again and again.

    Who finds the match gone looks again, and stands before others at that distance: MatchIt makes the same pairs.
    """
    queue = [(at[0], place, k, at[1]) for place, k in enumerate(ready) if (at := best(k)) is not None]
    heapq.heapify(queue)
    turn = -1
    while queue:
        distance, _, k, c = heapq.heappop(queue)
        now = best(k)
        if now is None:
            continue
        if now == (distance, c):
            choose(k, c)
        else:
            heapq.heappush(queue, (now[0], turn, k, now[1]))
            turn -= 1
