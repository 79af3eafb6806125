"""The networks that a host takes part in, in the Engine API's shape, as far as the host was told of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from api.wire.assignments import NetworkOrder


def views(orders: Iterable[NetworkOrder]) -> list[dict[str, Any]]:
    """Items of GET /networks on a host that is no manager, by name."""
    return [_view(order) for order in sorted(orders, key=lambda order: order.name)]


def _view(order: NetworkOrder) -> dict[str, Any]:
    mtu = {"com.docker.network.driver.mtu": str(order.mtu)} if order.mtu else {}
    return {
        "Name": order.name,
        "Id": order.id,
        "Created": "0001-01-01T00:00:00Z",
        "Scope": "swarm",
        "Driver": "overlay",
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {
            "Driver": "default",
            "Options": None,
            "Config": [{"Subnet": order.subnet, "Gateway": order.gateway.partition("/")[0]}],
        },
        "Internal": order.internal,
        "Attachable": False,
        "Ingress": order.ingress,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {"com.docker.network.driver.overlay.vxlanid_list": str(order.vni), **mtu},
        "Labels": {},
    }
