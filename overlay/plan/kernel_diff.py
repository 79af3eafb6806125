"""The ordered, idempotent operations that turn the kernel's objects into the wanted ones. Pure.

Removals come first, from rules down to bridges; then additions from bridges up to rules. When a link is removed the
kernel removes everything on it, so nothing is removed from such a link, and everything is added again on one that is
recreated.
"""

from __future__ import annotations

from collections.abc import Set

from overlay.plan.kernel_objects import (
    ApplyObject,
    Bridge,
    BridgePort,
    KernelObject,
    Operation,
    RemoveObject,
    RoutingRule,
    Vxlan,
)


def diff(actual: Set[KernelObject], desired: Set[KernelObject]) -> list[Operation]:
    """Operations that turn `actual` into `desired`; none when they are equal."""
    wanted = {(what.order, what.key): what for what in desired}
    gone = {
        what.name
        for what in actual
        if isinstance(what, Bridge | Vxlan) and _must_go(what, wanted.get((what.order, what.key)))
    }
    # with a bridge go its ports' entries
    gone |= {what.link for what in actual if isinstance(what, BridgePort) and what.bridge in gone}
    kept = {what for what in actual if not _hangs_on(what, gone)}
    surplus = [what for what in actual - desired if _removable(what, gone, wanted)]
    missing = desired - kept
    return [
        *(RemoveObject(what) for what in sorted(surplus, key=_position, reverse=True)),
        *(ApplyObject(what) for what in sorted(missing, key=_position)),
    ]


def _must_go(what: Bridge | Vxlan, wanted: KernelObject | None) -> bool:
    """Whether a link is no longer wanted, or is a VXLAN device that changed: the kernel cannot change those."""
    if isinstance(what, Vxlan):
        return wanted != what
    return wanted is None


def _hangs_on(what: KernelObject, gone: Set[str]) -> bool:
    match what:
        case Bridge(name):
            return name in gone
        case Vxlan(name):
            # a VXLAN device outlives its bridge, but is then no bridge port: it is recreated
            return name in gone or what.bridge in gone
        case RoutingRule():
            return False
        case BridgePort():
            return what.bridge in gone
        case _:
            return what.link in gone


def _removable(what: KernelObject, gone: Set[str], wanted: dict[tuple[int, tuple[object, ...]], KernelObject]) -> bool:
    if isinstance(what, Bridge | Vxlan):
        return what.name in gone
    if isinstance(what, BridgePort):
        return False
    # a wanted object with the same key replaces this one
    return not _hangs_on(what, gone) and (what.order, what.key) not in wanted


def _position(what: KernelObject) -> tuple[int, str]:
    return (what.order, repr(what.key))
