"""Docker's predefined networks of local scope: bridge, host and none."""

from __future__ import annotations

import hashlib

from api.engine.networks import NetworkAnswer

HOST = "host"
NONE = "none"
DRIVERS = {"bridge": "bridge", "host": "host", "none": "null"}


def predefined_id(node_id: str, name: str) -> str:
    """64 hex digits, as ids of Docker's local networks have; constant for a node."""
    return hashlib.sha256(f"{node_id}/{name}".encode()).hexdigest()


def predefined_networks(node_id: str) -> list[NetworkAnswer]:
    """The answers about a node's predefined networks."""
    return [_answer(node_id, name, driver) for name, driver in DRIVERS.items()]


def predefined_name(node_id: str, reference: str) -> str:
    """The name of the predefined network with that name, id or beginning of an id; "" for none."""
    if reference in DRIVERS:
        return reference
    found = [name for name in DRIVERS if predefined_id(node_id, name).startswith(reference)]
    return found[0] if len(found) == 1 and len(reference) >= 4 else ""


def predefined_of_swarm(name: str) -> NetworkAnswer:
    """A predefined network as services use it: the same on every node, its name is its id (`service create --network
    host`).

    Docker's client looks for a service's networks among those of scope swarm only.
    """
    labels = {"com.docker.swarm.predefined": "true"}
    return NetworkAnswer(name, name, scope="swarm", driver=DRIVERS[name], containers={}, labels=labels)


def _answer(node_id: str, name: str, driver: str) -> NetworkAnswer:
    return NetworkAnswer(name, predefined_id(node_id, name), scope="local", driver=driver, containers={})
