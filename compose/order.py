"""The order of services by what they depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def cycle(edges: Mapping[str, Sequence[str]]) -> list[str]:
    """A circle, first name repeated at its end; empty when there is none. Names without edges are leaves."""
    done: set[str] = set()
    for start in edges:
        trail: list[str] = []
        if found := _visit(start, edges, trail, done):
            return found
    return []


def _visit(name: str, edges: Mapping[str, Sequence[str]], trail: list[str], done: set[str]) -> list[str]:
    if name in trail:
        return [*trail[trail.index(name) :], name]
    if name in done:
        return []
    trail.append(name)
    for target in edges.get(name, ()):
        if found := _visit(target, edges, trail, done):
            return found
    trail.pop()
    done.add(name)
    return []


def ordered(edges: Mapping[str, Sequence[str]]) -> list[str]:
    """The names so that each stands behind those it points to; otherwise as they were. There must be no circle."""
    result: list[str] = []

    def place(name: str) -> None:
        if name in result or name not in edges:
            return
        for target in edges[name]:
            place(target)
        result.append(name)

    for name in edges:
        place(name)
    return result
