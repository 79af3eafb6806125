"""Border checks: everything that a host reports about itself and its tasks is checked before it is stored. Pure.

A host may be controlled by an attacker. Its reports are accepted only if they cannot harm others: numbers are finite
and in range, texts and lists are bounded, and addresses are valid and belong to one host only. Each check raises
Invalid with a sentence for the log of the refused host. Code that reads descriptions stored by older versions uses
`host_address`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address
from itertools import islice
from typing import Any

import msgspec

from api.codec import encode, fields_of
from api.errors import Conflict, Invalid
from api.network import subnets
from api.objects.observed import NodeDescription, TaskStatus
from api.reasons.reason import Reason
from api.wire import host_bounds as bounds
from api.wire.session_messages import Heartbeat, Statuses
from manager.store.state import State

LEAST, MOST = -(1 << 31), 1 << 62
"""Range of all numbers without a narrower one."""
MOST_CPUS = 10**15
"""Nano-CPUs."""
MOST_DEPTH = 12
PORTION = 50
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*")
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_ITEMS = {
    "images": bounds.MOST_IMAGES,
    "tags": bounds.MOST_IMAGES,
    "ports": bounds.MOST_PORTS,
    "facts": bounds.MOST_FACTS,
    "because": bounds.MOST_FACTS,
}
_TEXTS = {"facts", "labels"}
"""Fields of free text, in which all characters are allowed."""
_NAMES = {"images", "tags"}
"""Fields with items that are checked separately."""


# ── a node's description ─────────────────────────────────────────────────────────────────────────────────────────


def admit(state: State, node_id: str, description: NodeDescription, peer: str) -> None:
    """Check the description in a Hello. Raises Invalid or Conflict."""
    if state.descriptions.get(node_id) != description:
        check_description(description, peer)
    check_holder(state, node_id, description.address, peer)


def check_description(description: NodeDescription, peer: str) -> None:
    """Check a description. `peer`: source address of the host's connection, "" when unknown. Raises Invalid."""
    if len(encode(description)) > bounds.MOST_DESCRIPTION:
        raise Invalid(f"its description is larger than {bounds.MOST_DESCRIPTION >> 10} KiB")
    _check_value(description, "")
    _check_address(description.address, peer)
    _in_range("HostPort", description.host_port, 1, 65535)
    _in_range("ManagerPort", description.manager_port, 0, 65535)
    for name in ("hostname", "os", "architecture"):
        _check_word(name.capitalize(), getattr(description, name), 255)
    if len(description.troubles) > bounds.MOST_TROUBLES:
        raise Invalid(f"Troubles: more than {bounds.MOST_TROUBLES} items")
    _check_prefixes(description.prefixes)
    for reference in (*description.images, *description.tags, *description.tags.values()):
        if len(reference) > bounds.MOST_NAME or not _REFERENCE.fullmatch(reference):
            raise Invalid(f"Images: {shorten(reference)} is no image reference")
    _check_resources(description)


def _check_prefixes(prefixes: list[str]) -> None:
    if len(prefixes) > bounds.MOST_PREFIXES:
        raise Invalid(f"Prefixes: more than {bounds.MOST_PREFIXES} items")
    for text in prefixes:
        prefix = subnets.parse(text)
        if prefix is None or prefix.prefixlen < subnets.WIDEST:
            raise Invalid(f"Prefixes: {shorten(text)} is no IPv4 network of a host")


def _check_address(text: str, peer: str) -> None:
    address = host_address(text)
    if not address:
        raise Invalid(f"Address: {shorten(text)} is not an IPv4 address at which other hosts could reach this one")
    if is_loopback(address) and not is_loopback(peer):
        raise Invalid(f"Address: {address} is every host's own; name one that the others reach with --advertise-addr")


def _check_resources(description: NodeDescription) -> None:
    for part in (description.resources.limits, description.resources.reservations) if description.resources else ():
        if part is not None:
            _in_range("Resources.NanoCPUs", part.nano_cpus, 0, MOST_CPUS)
            _in_range("Resources.MemoryBytes", part.memory_bytes, 0, MOST)
    reserved = description.resources.reservations if description.resources else None
    for generic in reserved.generic_resources if reserved else ():
        named, counted = generic.named_resource_spec, generic.discrete_resource_spec
        if (named is None) == (counted is None):
            raise Invalid("Resources.GenericResources: each is either named or counted")
        if named is not None:
            _check_word("Resources.GenericResources.Kind", named.kind, bounds.MOST_NAME)
            _check_word("Resources.GenericResources.Value", named.value, bounds.MOST_NAME)
        if counted is not None:
            _check_word("Resources.GenericResources.Kind", counted.kind, bounds.MOST_NAME)
            _in_range("Resources.GenericResources.Value", counted.value, 0, 1 << 40)


@lru_cache(maxsize=4096)
def host_address(text: str) -> str:
    """The text if it is an IPv4 address that a host can have (the underlay is IPv4), else ""."""
    try:
        address = IPv4Address(text)
    except AddressValueError:
        return ""
    wrong = address.is_unspecified or address.is_multicast or address.is_reserved
    return "" if wrong else str(address)


def peer_address(peer: str) -> str:
    """The IPv4 address in gRPC's peer name ("ipv4:192.0.2.1:4711", "ipv6:%5B::ffff:192.0.2.1%5D:4711"), else ""."""
    text = peer.partition(":")[2].rpartition(":")[0].replace("%5B", "").replace("%5D", "").strip("[]")
    return host_address(text.removeprefix("::ffff:"))


def holder(state: State, node_id: str, address: str) -> str:
    """Id of another living node that has announced the address; "" when there is none.

    A node that is down, has left or was removed does not hold its address: a machine that was set up again joins as
    another node at the same address.
    """
    for other, session in state.sessions.items():
        if other == node_id or session.left or other not in state.nodes:
            continue
        description = state.descriptions.get(other)
        if description is not None and description.address == address:
            return other
    return ""


def is_loopback(address: str) -> bool:
    """Whether a `host_address` is a loopback address."""
    return address.startswith("127.")


def check_holder(state: State, node_id: str, address: str, peer: str) -> None:
    """Check that an address belongs to one host only. Raises Conflict.

    A host that connects from the address has proved that it has it; any other host is refused while another living node
    holds the address. Loopback addresses may be shared; only hosts on the manager's own machine can announce them.
    """
    if address != peer and not is_loopback(address) and (other := holder(state, node_id, address)):
        raise Conflict(
            f"Address: {address} is that of node {other}, which is up; "
            "advertise an address of this host, or remove the other node if it is gone"
        )


# ── statuses and confirmations ───────────────────────────────────────────────────────────────────────────────────


def portions(message: Statuses) -> Iterator[Statuses]:
    """Split statuses into messages of PORTION statuses, each of which takes about 2 ms to check. Raises Invalid."""
    _check_count(message)
    statuses = iter(message.statuses.items())
    while portion := dict(islice(statuses, PORTION)):
        yield Statuses(message.number, portion)


def check_statuses(message: Statuses, now: float) -> None:
    """Check reported statuses; `now` in Unix seconds. Raises Invalid."""
    _check_count(message)
    for task_id, status in message.statuses.items():
        if not _ID.fullmatch(task_id):
            raise Invalid(f"Statuses: {shorten(task_id)} is no id of a task")
        _check_value(status, f"Statuses.{task_id}.")
        _check_status(status, f"Statuses.{task_id}", now)


def _check_count(message: Statuses) -> None:
    _in_range("Number", message.number, 0, MOST)
    if len(message.statuses) > bounds.MOST_STATUSES:
        raise Invalid(f"Statuses: more than {bounds.MOST_STATUSES} in one message")


def _check_status(status: TaskStatus, path: str, now: float) -> None:
    for name, at in (("Timestamp", status.timestamp), ("StartedAt", status.started_at)):
        if not 0 <= at <= now + bounds.FUTURE:
            raise Invalid(f"{path}.{name}: {at:g} is no time up to now; check the clock of the host")
    _in_range(f"{path}.PID", status.pid, 0, 1 << 31)
    _in_range(f"{path}.ExitCode", status.exit_code or 0, LEAST, 1 << 32)
    if status.container_id and not _ID.fullmatch(status.container_id):
        raise Invalid(f"{path}.ContainerID: {shorten(status.container_id)} is no id of a container")
    if (size := _text_size(status.reason)) > bounds.MOST_REASON:
        raise Invalid(f"{path}.Reason: {size} characters of text, of at most {bounds.MOST_REASON}")
    for port in status.ports:
        _in_range(f"{path}.Ports.PublishedPort", port.published_port, 0, 65535)
        _in_range(f"{path}.Ports.TargetPort", port.target_port, 0, 65535)
        if port.protocol not in ("tcp", "udp", "sctp"):
            raise Invalid(f"{path}.Ports: {shorten(port.protocol)} is no protocol")


def _text_size(reason: Reason | None) -> int:
    """Number of characters in all texts of a reason."""
    if reason is None:
        return 0
    own = sum(len(fact) for fact in reason.facts.values() if isinstance(fact, str))
    return own + sum(map(_text_size, reason.because))


def check_heartbeat(message: Heartbeat, sent: int) -> None:
    """Check a heartbeat; `sent` is the number of the newest assignments sent to the host. Raises Invalid."""
    if not 0 <= message.in_force <= sent:
        raise Invalid(f"InForce: assignments {message.in_force} are confirmed, of {sent} that were sent")


# ── every value ──────────────────────────────────────────────────────────────────────────────────────────────────


def _check_value(value: object, path: str) -> None:
    """Check that everything in a struct is finite, bounded and printable, also in future fields. Raises Invalid."""
    for where, name, item in _leaves(value, path, "", 0):
        if isinstance(item, str):
            _check_text(where, name, item)
        elif isinstance(item, float):
            if not math.isfinite(item) or not LEAST <= item <= MOST:
                raise Invalid(f"{where}: {item!r} is out of range")
        elif isinstance(item, int) and not LEAST <= item <= MOST:
            raise Invalid(f"{where}: a number out of range")


def _leaves(value: Any, path: str, name: str, depth: int) -> Iterator[tuple[str, str, object]]:
    """Path, field name and value of each scalar in `value`. Raises Invalid for too many items or levels."""
    if depth > MOST_DEPTH:
        raise Invalid(f"{path}: nested too deep")
    if isinstance(value, msgspec.Struct):
        for field in fields_of(type(value)):
            yield from _leaves(getattr(value, field.name), f"{path}{field.encode_name}.", field.name, depth + 1)
    elif isinstance(value, dict | list | tuple):
        if len(value) > (most := _ITEMS.get(name, bounds.MOST_ITEMS)):
            raise Invalid(f"{path.removesuffix('.')}: more than {most} items")
        if name in _NAMES:
            return
        for key in value if isinstance(value, dict) else ():
            if len(key) > bounds.MOST_NAME or not key.isprintable():
                raise Invalid(f"{path.removesuffix('.')}: {shorten(key)} is too long, or cannot be printed")
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item, path, name, depth + 1)
    else:
        yield path.removesuffix("."), name, value


def _check_text(where: str, name: str, text: str) -> None:
    if len(text) > bounds.MOST_TEXT:
        raise Invalid(f"{where}: longer than {bounds.MOST_TEXT} characters")
    if name not in _TEXTS and not text.isprintable():
        raise Invalid(f"{where}: {shorten(text)} cannot be printed")


def _check_word(where: str, text: str, most: int) -> None:
    if len(text) > most or " " in text or not text.isprintable():
        raise Invalid(f"{where}: {shorten(text)} is not one word of up to {most} characters")


def _in_range(where: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise Invalid(
            f"{where}: {value} is not from {least} to {most}" if abs(value) < MOST else f"{where}: out of range"
        )


def shorten(text: str, most: int = 60) -> str:
    """A text from outside, quoted and shortened for use in a sentence."""
    return repr(text if len(text) <= most else f"{text[:most]}…")
