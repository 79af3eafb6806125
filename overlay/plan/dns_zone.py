"""The names of a network, and the addresses of a name as one sandbox sees them. Pure.

Imports almost nothing, to keep the stand-in (dns/standin.py) small.

A network's names are indexed once per change (`NetworkNames`), for all sandboxes on it; a sandbox searches its networks
in the order of its interfaces. Several services of a shared network may claim a name: the caller's own stack wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from api.wire.assignments import EndpointAssignment
    from overlay.plan.network_snapshot import NetworkSnapshot

    class Claim(Protocol):
        """A service that claims a name (ServiceAssignment)."""

        @property
        def name(self) -> str: ...
        @property
        def service_id(self) -> str: ...
        @property
        def vip(self) -> str: ...

    class Place(Protocol):
        """A sandbox's interface on a network (interface.Interface)."""

        @property
        def network_id(self) -> str: ...
        @property
        def aliases(self) -> Sequence[str]: ...

    class Caller(Protocol):
        """The sandbox that asks (interface.Sandbox)."""

        @property
        def task_name(self) -> str: ...
        @property
        def hostname(self) -> str: ...
        @property
        def interfaces(self) -> Sequence[Place]: ...


Addresses = tuple[str, ...]


class NetworkNames:
    """The names of one network."""

    __slots__ = ("network_id", "pointers", "ready", "services", "tasks")

    def __init__(
        self,
        network_id: str,
        services: Mapping[str, Sequence[Claim]],
        ready: Mapping[str, Addresses],
        tasks: Mapping[str, Addresses],
        pointers: Mapping[str, str],
    ) -> None:
        self.network_id = network_id
        self.services = services
        """Services by name and alias, lower case."""
        self.ready = ready
        """Addresses of ready tasks, by service id."""
        self.tasks = tasks
        """Addresses of ready tasks, by task name and by hostname."""
        self.pointers = pointers
        """Names by address."""


class _Nowhere:
    """The interface of a sandbox that has none."""

    network_id = ""
    aliases: Sequence[str] = ()


def index(snapshot: NetworkSnapshot) -> NetworkNames:
    """The names of a network."""
    services: dict[str, list[Claim]] = {}
    for service in snapshot.services:
        services.setdefault(service.name.lower(), []).append(service)
    for service in snapshot.services:
        for alias in service.aliases:
            known = services.setdefault(alias.lower(), [])
            if service not in known:
                known.append(service)
    ready: dict[str, list[str]] = {}
    tasks: dict[str, list[str]] = {}
    for endpoint in snapshot.endpoints:
        if endpoint.ready:
            ready.setdefault(endpoint.service_id, []).append(endpoint.address)
            for name in {endpoint.task_name.lower(), endpoint.hostname.lower()} - {""}:
                tasks.setdefault(name, []).append(endpoint.address)
    return NetworkNames(snapshot.network.id, services, _frozen(ready), _frozen(tasks), _pointers(snapshot))


def lookup(name: str, networks: Iterable[NetworkNames], sandbox: Caller, own: Mapping[str, str]) -> Addresses | None:
    """Addresses of a name, as this sandbox sees it; None for a name outside the cluster.

    Empty: the name is known but no task is ready. `own` is the sandbox's addresses by network.
    """
    for names in networks:
        found = _in_network(name, names, sandbox)
        if found is not None:
            return found
    for interface in sandbox.interfaces or (_Nowhere(),):
        aliases = {alias.lower() for alias in interface.aliases}
        if name in aliases or name in {sandbox.hostname.lower(), sandbox.task_name.lower()}:
            address = own.get(interface.network_id) or next(iter(own.values()), "")
            return (address,) if address else ()
    return None


def pointer(address: str, networks: Iterable[NetworkNames], sandbox: Caller, own: Mapping[str, str]) -> str | None:
    """The name of an address; None for an address outside the cluster."""
    for names in networks:
        if address in names.pointers:
            return names.pointers[address]
    return (sandbox.hostname or sandbox.task_name or None) if address in own.values() else None


def _in_network(name: str, names: NetworkNames, sandbox: Caller) -> Addresses | None:
    plain = name.removeprefix("tasks.")
    if plain != name and plain in names.services:
        return _ready(_meant(names.services[plain], plain, sandbox), names)
    if name in names.services:
        found: list[str] = []
        for service in _meant(names.services[name], name, sandbox):
            found += (service.vip,) if service.vip else names.ready.get(service.service_id, ())
        return tuple(dict.fromkeys(found))
    return names.tasks.get(name)


def _ready(services: Sequence[Claim], names: NetworkNames) -> Addresses:
    return tuple(address for service in services for address in names.ready.get(service.service_id, ()))


def _meant(claimed: Sequence[Claim], name: str, sandbox: Caller) -> Sequence[Claim]:
    """The services meant by a name: the caller's own stack's, else the one with that name, else all with the alias.

    Stack `shop`'s service `web` has the name shop_web, and its tasks' names begin with it.
    """
    if len(claimed) == 1:
        return claimed
    caller = sandbox.task_name.lower()
    for service in claimed:
        stack = service.name.lower().removesuffix(f"_{name}")
        if stack != service.name.lower() and caller.startswith(f"{stack}_"):
            return (service,)
    exact = [service for service in claimed if service.name.lower() == name]
    return exact or claimed


def _pointers(snapshot: NetworkSnapshot) -> dict[str, str]:
    found = {s.vip: f"{s.name}.{snapshot.network.name}" for s in snapshot.services if s.vip}
    found |= {e.address: f"{_task_label(e)}.{snapshot.network.name}" for e in snapshot.endpoints}
    return found


def _task_label(endpoint: EndpointAssignment) -> str:
    return endpoint.task_name or endpoint.hostname or endpoint.task_id


def _frozen(lists: Mapping[str, list[str]]) -> dict[str, Addresses]:
    return {key: tuple(values) for key, values in lists.items()}
