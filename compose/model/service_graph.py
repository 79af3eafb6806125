"""The dependency graph of services: cycles and order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def cycle(edges: Mapping[str, Sequence[str]]) -> list[str]:
    """A cycle, its first name repeated at the end; empty when there is none. Names without edges are leaves."""
    done: set[str] = set()
    for start in edges:
        trail = {start: 0} if start not in done else {}
        while trail:
            name = next(reversed(trail))
            following = next((target for target in edges.get(name, ()) if target not in done), None)
            if following is None:
                done.add(name)
                del trail[name]
            elif following in trail:
                return [*list(trail)[trail[following] :], following]
            else:
                trail[following] = len(trail)
    return []


def ordered(edges: Mapping[str, Sequence[str]]) -> list[str]:
    """The names, each after those it depends on, otherwise in the given order. A cycle is broken at some edge."""
    result: dict[str, None] = {}
    begun: set[str] = set()
    for start in edges:
        trail = [start]
        while trail:
            name = trail[-1]
            begun.add(name)
            waiting = [target for target in edges[name] if target in edges and target not in begun]
            if waiting:
                trail.append(waiting[0])
            else:
                result[trail.pop()] = None
    return list(result)
