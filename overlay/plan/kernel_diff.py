"""Pure: what the kernel has, what it should have → ordered, idempotent operations.

Removals first, from rules down to bridges; then additions from bridges up to rules. A link takes what hangs on it
along, so nothing is removed from a link that goes, and all is put again on one that is made anew.
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
    # what hangs on a port of a bridge that goes, goes too
    gone |= {what.link for what in actual if isinstance(what, BridgePort) and what.bridge in gone}
    kept = {what for what in actual if not _hangs_on(what, gone)}
    surplus = [what for what in actual - desired if _removable(what, gone, wanted)]
    missing = desired - kept
    return [
        *(RemoveObject(what) for what in sorted(surplus, key=_position, reverse=True)),
        *(ApplyObject(what) for what in sorted(missing, key=_position)),
    ]


def _must_go(what: Bridge | Vxlan, wanted: KernelObject | None) -> bool:
    """Links that are no longer wanted, and VXLAN devices that changed: the kernel cannot change those."""
    if isinstance(what, Vxlan):
        return wanted != what
    return wanted is None


def _hangs_on(what: KernelObject, gone: Set[str]) -> bool:
    match what:
        case Bridge(name):
            return name in gone
        case Vxlan(name):
            # a VXLAN device outlives its bridge, as nobody's port: it is put again
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
    # what is put under the same key replaces this
    return not _hangs_on(what, gone) and (what.order, what.key) not in wanted


def _position(what: KernelObject) -> tuple[int, str]:
    return (what.order, repr(what.key))
