"""What users ask of a simulated cluster: services of every mode, changed in every way, all from one seed."""

from __future__ import annotations

import random
from typing import Any

from msgspec.structs import replace

from api.objects.wanted import Service
from api.service.mode import EmptyMode, Mode, Replicated, ReplicatedJob
from api.service.placement import Placement
from api.service.resources import DiscreteResource, GenericResource, Reservations
from api.service.schedule import Schedule
from api.service.service_spec import ServiceSpec
from tests import make

IMAGES = ["web:1", "web:2", "web:3", "bad:1", "stuck:1"]
GOOD = IMAGES[:3]
ONE_GPU = Reservations(
    memory_bytes=make.GIB, nano_cpus=make.CPU, generic_resources=[GenericResource(None, DiscreteResource("gpu", 1))]
)
ORDERS = {"s1": "start-first", "s2": "stop-first", "s3": "start-first", "s4": "stop-first", "s5": "stop-first"}
"""s6 gives no order: it is drained and balanced start-first, and updated stop-first."""
STARTS_FIRST = frozenset({"s1", "s3"})
"""Services whose updates start the new task first."""
MOVES_FIRST = STARTS_FIRST | {"s6"}
"""Services whose tasks move to another node start-first."""
SERVICES = ["s1", "s2", "s3", "s4", "s5", "s6", "j1", "j2", "j3", "j4", "j5"]
MAY_WAIT = frozenset({"s2", "s5"})
"""Services that may find no node for all of their tasks, for lack of host ports or devices."""


def wished(rng: random.Random, id: str, good: bool = False) -> ServiceSpec:
    """Some spec for the service; with `good`, one that works if nodes have room."""
    image = rng.choice(GOOD if good or rng.random() < 0.6 else IMAGES)
    how = make.update(
        rng.choice([None, 0, 2, 3]), rng.choice([0, 0, 2]), rng.choice(["pause", "continue", "rollback"]),
        rng.choice([1, 5]), rng.choice([0, 0.3]), ORDERS.get(id, ""), None if good else rng.choice([None, 15, 60]),
    )  # fmt: skip
    fields: dict[str, Any] = {
        "image": image,
        "update": None if id[0] == "j" else how,
        "restart": make.restart("any" if id != "j3" else "on-failure", rng.choice([0, 1, 5]), attempts=None),
        **_shape(rng, id, good),
    }
    if good and id in MAY_WAIT:
        fields |= {"replicas": 1, "constraints": None}
    spec = make.spec(name=id, **fields)
    if id[0] == "s":
        spec = replace(spec, rollback_config=replace(how, failure_action="pause", progress_deadline=None))
    return spec


def scaled(rng: random.Random, spec: ServiceSpec) -> ServiceSpec:
    """The same in another size, or with another label: nothing of what runs differs from that."""
    if spec.mode.replicated is not None and rng.random() < 0.7:
        return replace(spec, mode=Mode(replicated=Replicated(rng.randrange(7))))
    return replace(spec, labels={"changed": str(rng.randrange(100))})


def changed(old: Service, spec: ServiceSpec, rollback: bool = False) -> Service:
    """The service as its user wants it now."""
    return replace(old, spec=spec, revision=old.revision + 1, rollback=rollback)


def _shape(rng: random.Random, id: str, good: bool) -> dict[str, Any]:
    """What makes the services differ from one another."""
    replicas = rng.randrange(7)
    match id:
        case "s1":
            return {"replicas": replicas, "networks": rng.choice([["a"], ["a", "b"]]), "ports": [make.port()]}
        case "s2":
            return {"replicas": replicas, "ports": [make.port(8000, mode="host")]}
        case "s3":
            most = Placement(max_replicas=rng.choice([1, 2])) if not good and rng.random() < 0.4 else None
            ports = [make.port(80)]
            return {"replicas": replicas, "networks": ["a"], "rebalance": True, "ports": ports, "placement": most}
        case "s4":
            return {"mode": make.global_mode(), "networks": ["b"]}
        case "s5":
            where = rng.choice([None, ["node.labels.az != 1"]])
            return {"replicas": replicas, "reserve": ONE_GPU, "constraints": where}
        case "s6":
            return {"replicas": replicas, "update": make.update(), "rebalance": rng.choice([None, True])}
        case "j1":
            return {"mode": Mode(replicated_job=ReplicatedJob(rng.randint(1, 3), rng.randrange(5)))}
        case "j2":
            return {"mode": Mode(global_job=EmptyMode())}
    overlap = {"j4": "replace", "j5": "forbid"}.get(id) or rng.choice(["allow", "forbid"])
    mode = Mode(replicated_job=ReplicatedJob(2, 2)) if id == "j3" else Mode(global_job=EmptyMode())
    return {"mode": mode, "schedule": Schedule("*/20 * * * * *", overlap=overlap)}  # type: ignore[arg-type]
