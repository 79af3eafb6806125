"""The networks every Docker host has and nobody makes: bridge, host and none, of local scope."""

from __future__ import annotations

import hashlib

from api.engine.networks import NetworkAnswer

HOST = "host"
NONE = "none"
DRIVERS = {"bridge": "bridge", "host": "host", "none": "null"}


def predefined_id(node_id: str, name: str) -> str:
    """64 hex digits, as Docker's local networks have; the same for as long as the node is."""
    return hashlib.sha256(f"{node_id}/{name}".encode()).hexdigest()


def predefined_networks(node_id: str) -> list[NetworkAnswer]:
    """The answers about them on one node."""
    return [_answer(node_id, name, driver) for name, driver in DRIVERS.items()]


def predefined_name(node_id: str, reference: str) -> str:
    """The name of the predefined network meant by a name, an id, or the beginning of one; "" for none of them."""
    if reference in DRIVERS:
        return reference
    found = [name for name in DRIVERS if predefined_id(node_id, name).startswith(reference)]
    return found[0] if len(found) == 1 and len(reference) >= 4 else ""


def predefined_of_swarm(name: str) -> NetworkAnswer:
    """One as a service is put on it: the same on every node, with its name for an id (`service create --network host`).

    Docker's client looks for a service's networks among those of scope swarm only.
    """
    labels = {"com.docker.swarm.predefined": "true"}
    return NetworkAnswer(name, name, scope="swarm", driver=DRIVERS[name], containers={}, labels=labels)


def _answer(node_id: str, name: str, driver: str) -> NetworkAnswer:
    return NetworkAnswer(name, predefined_id(node_id, name), scope="local", driver=driver, containers={})
