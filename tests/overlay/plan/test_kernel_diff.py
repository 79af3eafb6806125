"""Operations from the actual to the wanted objects, checked against a small model of the kernel."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from overlay.plan.device_plan import plan
from overlay.plan.kernel_diff import diff
from overlay.plan.kernel_objects import (
    Address,
    ApplyObject,
    Bridge,
    BridgePort,
    KernelObject,
    Operation,
    RemoveObject,
    RoutingRule,
    Vxlan,
)
from overlay.plan.network_snapshot import NetworkSnapshot
from tests.overlay.orders import HOST, endpoint, ingress_snapshot, network

WANTED = plan(ingress_snapshot(), HOST)
OTHERS = [
    plan(NetworkSnapshot(network(), (), (endpoint("a", "10.0.1.12", "192.0.2.3"),)), HOST),
    plan(
        NetworkSnapshot(network(), (), (endpoint("a", "10.0.1.12", "192.0.2.2"),)), replace(HOST, address="192.0.2.9")
    ),
    plan(NetworkSnapshot(network(4098)), HOST),
]
EVERYTHING = sorted(WANTED.union(*OTHERS), key=repr)


def perform(state: frozenset[KernelObject], operations: list[Operation]) -> frozenset[KernelObject]:
    """The kernel: links take along what hangs on them; what hangs on nothing cannot be made; EEXIST for VXLAN."""
    now = {(what.order, what.key): what for what in state}
    for operation in operations:
        what = operation.what
        if isinstance(operation, RemoveObject):
            now.pop((what.order, what.key), None)
            if isinstance(what, Bridge | Vxlan):
                now = {
                    k: v for k, v in now.items() if getattr(v, "link", "") != what.name or isinstance(v, RoutingRule)
                }
        else:
            links = {v.name for v in now.values() if isinstance(v, Bridge | Vxlan)}
            if isinstance(what, Vxlan):
                assert what.name not in links
                assert what.bridge in links
            elif not isinstance(what, Bridge | RoutingRule):
                assert what.link in links
            now[what.order, what.key] = what
    return frozenset(now.values())


def possible(objects: frozenset[KernelObject]) -> frozenset[KernelObject]:
    """A state a kernel can be in: one object per key, and nothing that hangs on a link that is not there."""
    single = {(what.order, what.key): what for what in sorted(objects, key=repr)}
    links = {what.name for what in single.values() if isinstance(what, Bridge | Vxlan)}
    return frozenset(w for w in single.values() if isinstance(w, Bridge | Vxlan | RoutingRule) or w.link in links)


@given(st.frozensets(st.sampled_from(EVERYTHING)), st.sampled_from([WANTED, *OTHERS, frozenset()]))
def test_from_any_state_one_round_leads_to_what_is_wanted(actual: frozenset, wanted: frozenset) -> None:
    start = possible(actual)

    assert perform(start, diff(start, wanted)) == wanted
    assert diff(wanted, wanted) == []


def test_what_hangs_on_a_link_that_goes_is_not_removed_one_by_one() -> None:
    removed = diff(WANTED, frozenset())

    assert [type(operation.what) for operation in removed] == [RoutingRule, Vxlan, Bridge]


def test_a_sandbox_is_plugged_in_again_when_its_bridge_is_made_anew() -> None:
    bridge, port, address = (
        Bridge("ab1", "02:42:0a:00:01:01", 1450),
        BridgePort("aex0", "ab1"),
        Address("ab1", "10.0.1.1/24"),
    )

    assert diff(frozenset(), {bridge, port, address}) == [ApplyObject(bridge), ApplyObject(port), ApplyObject(address)]
    assert diff({bridge, port, address}, {bridge, address}) == []
