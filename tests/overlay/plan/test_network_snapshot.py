"""A network's endpoints: those that take connections, and those whose connections go on."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from overlay.plan.network_snapshot import lasting_addresses, ready_addresses
from tests.overlay.orders import ingress_snapshot


def test_a_lost_hosts_endpoints_count_as_gone() -> None:
    snapshot = ingress_snapshot()
    first, *rest = snapshot.endpoints
    lost = replace(snapshot, endpoints=(msgspec.structs.replace(first, ready=False, lost=True), *rest))

    assert lasting_addresses([snapshot]) - lasting_addresses([lost]) == {first.address}
    assert ready_addresses([snapshot]) - ready_addresses([lost]) == {first.address}
    unanswering = replace(snapshot, endpoints=(msgspec.structs.replace(first, ready=False), *rest))
    assert lasting_addresses([unanswering]) == lasting_addresses([snapshot])
