"""The networks that a host takes part in, as the Engine API answers them, as far as the host was told of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from api.engine.networks import IPAMAnswer, NetworkAnswer
from api.network.network_spec import IPAMConfig
from api.wire.assignments import NetworkAssignment


def network_answers(orders: Iterable[NetworkAssignment]) -> list[NetworkAnswer]:
    """Items of GET /networks on a host that is no manager, by name."""
    return [_answer(order) for order in sorted(orders, key=lambda order: order.name)]


def _answer(order: NetworkAssignment) -> NetworkAnswer:
    mtu = {"com.docker.network.driver.mtu": str(order.mtu)} if order.mtu else {}
    return NetworkAnswer(
        order.name,
        order.id,
        scope="swarm",
        driver="overlay",
        ipam=IPAMAnswer(config=[IPAMConfig(subnet=order.subnet, gateway=order.gateway.partition("/")[0])]),
        internal=order.internal,
        ingress=order.ingress,
        containers={},
        options={"com.docker.network.driver.overlay.vxlanid_list": str(order.vni), **mtu},
    )
