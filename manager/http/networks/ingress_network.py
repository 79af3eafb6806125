"""The ingress network of the routing mesh: at most one; removable while no service publishes ports on it."""

from __future__ import annotations

import asyncio

from api.errors import Conflict, Forbidden, Invalid
from api.network.network_spec import INGRESS, NetworkSpec
from manager.store.interface import Store
from manager.store.state import State

PATIENCE = 10.0
"""Seconds to wait for the former one to be removed, which every host must do first."""


def is_there(state: State) -> bool:
    """Whether there is an ingress network that is not being removed."""
    network = state.networks.get(INGRESS)
    return network is not None and not network.removed


def check_removable(state: State) -> None:
    """Raises Forbidden, as Docker does, while a service needs it."""
    users = sorted(service.spec.name for service in state.services.values() if service.spec.mesh_ports)
    if users:
        raise Forbidden(
            f"ingress network cannot be removed because service {users[0]} depends on it;"
            " remove the services that publish ports, or publish theirs in mode host"
        )


async def make_way(store: Store, spec: NetworkSpec) -> None:
    """Wait until a new ingress network can be made. Raises Invalid, Conflict."""
    if spec.internal:
        raise Invalid("Internal: the routing mesh's network is there to be reached from outside")
    try:
        async with asyncio.timeout(PATIENCE):
            while (former := store.state.networks.get(INGRESS)) is not None:
                if not former.removed:
                    raise Conflict(
                        f"Ingress: network {former.spec.name} is the routing mesh's; remove it before you make another"
                    )
                await store.wait_newer(store.state.revision)
    except TimeoutError:
        raise Conflict("Ingress: the former network of the routing mesh is not gone yet; try again") from None
