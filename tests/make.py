"""Builders for states and objects, with what a test does not care about filled in: `make.task(slot=2)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.defaults import SECOND
from api.network.network_spec import INGRESS, IPAM, IPAMConfig, NetworkSpec
from api.node_spec import NodeSpec
from api.objects.decided import NodeDecision, Revision, ServiceDecision, Task
from api.objects.kinds import (
    CLUSTER,
    DEFAULT_CLUSTER,
    DESCRIPTION,
    NETWORK,
    NODE,
    NODE_DECISION,
    REVISION,
    SERVICE,
    SERVICE_DECISION,
    SESSION,
    STATUS,
    TASK,
    Kind,
    revision_id,
)
from api.objects.observed import NodeDescription, NodeSession, TaskStatus
from api.objects.wanted import Cluster, Network, Node, Service
from api.service.container import ContainerSpec
from api.service.host_config import HostConfig
from api.service.mode import EmptyMode, Mode, Replicated, ReplicatedJob
from api.service.placement import Placement
from api.service.ports import EndpointSpec, PortConfig
from api.service.resources import Reservations, Resources
from api.service.service_spec import Dependency, NetworkTarget, RestartPolicy, ServiceSpec, TaskSpec, UpdateConfig
from api.states import NodeState, TaskState
from manager.store.state import Dirty, Event, State

GIB = 1 << 30
CPU = 1_000_000_000
Row = tuple[Kind[Any], str, Any]


def cluster(**fields: Any) -> Row:
    """The cluster object."""
    return (CLUSTER, DEFAULT_CLUSTER, Cluster(id="c", **fields))


def node(
    id: str = "n1",
    state: NodeState = NodeState.READY,
    labels: dict[str, str] | None = None,
    engine_labels: dict[str, str] | None = None,
    cpus: float = 4,
    memory: int = 8 * GIB,
    generic: list[Any] | None = None,
    **fields: Any,
) -> list[Row]:
    """A node in all its parts: wanted, decided, described, and with a session when it is READY."""
    spec = NodeSpec(labels=labels or {}, **{k: v for k, v in fields.items() if k in ("availability", "role")})
    rest = {k: v for k, v in fields.items() if k not in ("availability", "role")}
    described = description(id, cpus, memory, generic, engine_labels, **rest)
    rows: list[Row] = [
        (NODE, id, Node(id, spec=spec)),
        (DESCRIPTION, id, described),
        (NODE_DECISION, id, NodeDecision(state=state)),
    ]
    return [*rows, (SESSION, id, NodeSession("m1"))] if state is NodeState.READY else rows


def description(
    id: str,
    cpus: float = 4,
    memory: int = 8 * GIB,
    generic: list[Any] | None = None,
    engine_labels: dict[str, str] | None = None,
    **fields: Any,
) -> NodeDescription:
    """What a node says of itself."""
    from api.objects.observed import EngineDescription

    return NodeDescription(
        **{"hostname": id, "architecture": "x86_64", **fields},
        resources=Resources(reservations=Reservations(int(cpus * CPU), memory, generic or [])),
        engine=EngineDescription(labels=engine_labels or {}),
    )


def spec(
    name: str = "web",
    replicas: int | None = 1,
    image: str = "web:1",
    mode: Mode | None = None,
    networks: Sequence[str | NetworkTarget] | None = None,
    ports: list[PortConfig] | None = None,
    endpoint_mode: str = "",
    placement: Placement | None = None,
    constraints: list[str] | None = None,
    reserve: Reservations | None = None,
    restart: RestartPolicy | None = None,
    update: UpdateConfig | None = None,
    rollback: UpdateConfig | None = None,
    grace: int | None = None,
    labels: dict[str, str] | None = None,
    depends_on: list[Dependency] | None = None,
    host: HostConfig | None = None,
    **rest: Any,
) -> ServiceSpec:
    """A service's spec."""
    return ServiceSpec(
        name=name,
        labels=labels or {},
        task_template=TaskSpec(
            container_spec=ContainerSpec(image=image, stop_grace_period=grace, host_config=host),
            resources=Resources(reservations=reserve) if reserve else None,
            restart_policy=restart,
            placement=placement or (Placement(constraints=constraints) if constraints else None),
            networks=[NetworkTarget(one) if isinstance(one, str) else one for one in networks or []],
        ),
        mode=mode or Mode(replicated=Replicated(replicas)),
        update_config=update,
        rollback_config=rollback,
        endpoint_spec=EndpointSpec(endpoint_mode, ports or []) if ports or endpoint_mode else None,  # type: ignore[arg-type]
        depends_on=depends_on or [],
        **rest,
    )


def global_mode() -> Mode:
    """One task per node."""
    return Mode(global_=EmptyMode())


def job_mode(total: int = 1, at_once: int | None = None) -> Mode:
    """So many completions."""
    return Mode(replicated_job=ReplicatedJob(at_once, total))


def service(id: str = "s1", revision: int = 1, created_at: float = 0.0, rollback: bool = False, **fields: Any) -> Row:
    """A wanted service; the fields are those of its spec."""
    fields.setdefault("name", id)
    return (
        SERVICE,
        id,
        Service(id, spec=spec(**fields), revision=revision, created_at=created_at, rollback=rollback),
    )


def decided_service(id: str = "s1", revision: int = 1, **fields: Any) -> list[Row]:
    """A service with the revision that is in force."""
    row = service(id, revision, **fields)
    return [
        row,
        (REVISION, revision_id(id, revision), Revision(id, revision, row[2].spec)),
        (SERVICE_DECISION, id, ServiceDecision(revision=revision, wanted=revision)),
    ]


def task(id: str = "t1", service_id: str = "s1", revision: int = 1, slot: int = 1, **fields: Any) -> Row:
    """A task as decided."""
    return (TASK, id, Task(id, service_id, revision, slot=slot, **fields))


def status(task_id: str, state: TaskState = TaskState.RUNNING, timestamp: float = 0.0, **fields: Any) -> Row:
    """A task's status as observed."""
    return (STATUS, task_id, TaskStatus(state, timestamp, **fields))


def network(id: str = "net1", subnet: str = "", ip_range: str = "", removed: bool = False, **fields: Any) -> Row:
    """A wanted network."""
    config = [IPAMConfig(subnet=subnet, ip_range=ip_range)] if subnet else []
    fields.setdefault("name", id)
    return (NETWORK, id, Network(id, spec=NetworkSpec(ipam=IPAM(config=config), **fields), removed=removed))


def ingress() -> Row:
    """The routing mesh's network."""
    return network(INGRESS, name=INGRESS, ingress=True)


def port(
    published: int = 0, target: int = 80, mode: Any = "ingress", protocol: Any = "tcp", host_ip: str = ""
) -> PortConfig:
    """A published port."""
    return PortConfig(
        protocol=protocol, target_port=target, published_port=published, publish_mode=mode, host_ip=host_ip
    )


def restart(
    condition: Any = "", delay: float | None = None, attempts: int | None = None, window: float | None = None
) -> RestartPolicy:
    """A restart policy, in seconds."""
    return RestartPolicy(condition, _nano(delay), attempts, _nano(window))


def update(
    parallelism: int | None = None,
    delay: float = 0,
    action: Any = "",
    monitor: float | None = None,
    ratio: float = 0.0,
    order: Any = "",
    deadline: float | None = None,
) -> UpdateConfig:
    """An update or rollback config, in seconds."""
    return UpdateConfig(parallelism, int(delay * SECOND), action, _nano(monitor), ratio, order, _nano(deadline))


def state(*rows: Row | list[Row]) -> State:
    """A state of these rows (or lists of rows)."""
    made = State()
    apply(made, *rows)
    return made


def apply(state: State, *rows: Row | list[Row], dirty: Dirty | None = None) -> None:
    """Write rows, as the store would."""
    flat = [row for item in rows for row in (item if isinstance(item, list) else [item])]
    revision = state.revision + 1
    state.apply(
        [Event(kind, id, value, revision) for kind, id, value in flat], revision, [] if dirty is None else [dirty]
    )


def everything(state: State) -> Dirty:
    """A Dirty with all there is in it."""
    dirty = Dirty()
    state.mark_all(dirty)
    return dirty


def _nano(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * SECOND)
