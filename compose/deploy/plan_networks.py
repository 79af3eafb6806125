"""Networks in a deploy plan. Pure. A network is never changed in place, because tasks are on it.

A network that must change is replaced: its services stop, it is removed and created again, then they start again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from api.engine.networks import NetworkAnswer
from api.engine.services import ServiceAnswer
from api.network.network_spec import NetworkSpec
from api.service.difference_text import difference_line
from api.service.equality import Difference
from compose.model.stack import Stack


@dataclass(frozen=True, slots=True)
class NetworkChange:
    """A network to create, or (with `current`) to replace."""

    spec: NetworkSpec
    current: NetworkAnswer | None = None
    fields: tuple[Difference, ...] = ()
    users: tuple[ServiceAnswer, ...] = ()
    """The stack's services on the network that is replaced."""

    def lines(self) -> Iterator[str]:
        """The lines of `stack plan` for this network."""
        if self.current is None:
            yield f"create network {self.spec.name}"
            return
        yield f"replace network {self.spec.name}"
        yield from (f"    {difference_line(field)}" for field in self.fields)
        if self.users:
            yield f"    stops until it is there again: {', '.join(service.spec.name for service in self.users)}"


def network_changes(
    stack: Stack, networks: Sequence[NetworkAnswer], all_services: Sequence[ServiceAnswer]
) -> tuple[tuple[NetworkChange, ...], list[str]]:
    """Networks to create and replace, and a sentence per conflict. `networks` and `all_services` are the cluster's."""
    by_name = {network.name: network for network in networks if network.scope != "local"}
    all_names = {network.name for network in networks}
    problems = [
        f"network {name} is external and does not exist; create it first"
        for name in stack.external_networks
        if name not in all_names
    ]
    changes = []
    for spec in stack.networks:
        current = by_name.get(spec.name)
        if current is None:
            changes.append(NetworkChange(spec))
        elif current.stack != stack.name:
            problems.append(
                f"network {spec.name} exists and is not of stack {stack.name}; say `external: true`, "
                "or choose another name"
            )
        elif fields := tuple(_fields(spec, current)):
            users = tuple(service for service in all_services if current.id in service.network_ids)
            strangers = [service.spec.name for service in users if service.stack != stack.name]
            if strangers:
                problems.append(
                    f"network {spec.name} would have to be replaced ({'; '.join(map(difference_line, fields))}), and "
                    f"{', '.join(strangers)} of other stacks {'is' if len(strangers) == 1 else 'are'} on it; "
                    "take them off it first"
                )
            changes.append(NetworkChange(spec, current, fields, users))
    return tuple(changes), problems


def must_be_replaced(stack: Stack, networks: Sequence[NetworkAnswer]) -> bool:
    """Whether a network must be replaced, for which the plan needs all services of the cluster."""
    return any(change.current for change in network_changes(stack, networks, ())[0])


def _fields(spec: NetworkSpec, network: NetworkAnswer) -> Iterator[Difference]:
    """The fields that differ. Addresses that the file leaves open stay as the cluster chose them."""
    for path, wanted, present in (
        ("Internal", spec.internal, network.internal),
        ("Attachable", spec.attachable, network.attachable),
    ):
        if wanted is not present:
            yield Difference(path, present, wanted)
    picked = {} if _VNI in spec.options else {_VNI}
    yield from _mapping("Options", spec.options, {k: v for k, v in (network.options or {}).items() if k not in picked})
    yield from _mapping("Labels", spec.labels, network.labels or {})
    parts = network.ipam.config or []
    for number, part in enumerate(spec.ipam.config):
        now = parts[number] if number < len(parts) else None
        for name in ("subnet", "ip_range", "gateway"):
            wanted_text, text = getattr(part, name), getattr(now, name) if now else ""
            if wanted_text and wanted_text != text:
                yield Difference(f"IPAM.Config[{number}].{_IPAM[name]}", text or None, wanted_text)


_IPAM = {"subnet": "Subnet", "ip_range": "IPRange", "gateway": "Gateway"}
_VNI = "com.docker.network.driver.overlay.vxlanid_list"
"""The option with the network's VNI. Unless the file names one, the cluster picks it."""


def _mapping(path: str, wanted: Mapping[str, str], present: Mapping[str, str]) -> Iterator[Difference]:
    for name in sorted({*wanted, *present}):
        if wanted.get(name) != present.get(name):
            yield Difference(f"{path}.{name}", present.get(name), wanted.get(name))
