"""Lookup of objects by what users type: full id, name, or unique prefix of the id, in this order, as in Docker.

A prefix of a name is not enough (moby daemon/cluster/helpers.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from api.errors import Invalid, NotFound
from api.objects.decided import Task
from api.objects.kinds import Kind
from api.objects.wanted import Config, Network, Node, Secret, Service
from api.stored_file_versions import newest
from manager.store.naming import task_name
from manager.store.state import State

T = TypeVar("T")
F = TypeVar("F", bound=Secret | Config)


def find_service(state: State, reference: str) -> Service:
    """The service that a reference names. Raises NotFound, or Invalid if it is ambiguous."""
    found = state.services.get(reference) or state.service_named(reference)
    return found or _by_prefix("service", reference, state.services)


def find_network(state: State, reference: str) -> Network:
    """The network that a reference names; networks being removed are not found. Raises NotFound or Invalid."""
    exact = state.networks.get(reference)
    found = exact if exact and not exact.removed else state.network_named(reference)
    return found or _by_prefix("network", reference, {id: n for id, n in state.networks.items() if not n.removed})


def find_node(state: State, reference: str, own_id: str) -> Node:
    """The node that a reference (id, hostname, or `self` for `own_id`) names. Raises NotFound or Invalid."""
    if reference == "self":
        reference = own_id
    if found := state.nodes.get(reference):
        return found
    named = [node for node in state.nodes.values() if hostname(state, node.id) == reference and reference]
    if len(named) == 1:
        return named[0]
    if named:
        raise Invalid(f"node {reference} is ambiguous ({len(named)} matches found); give an id")
    return _by_prefix("node", reference, state.nodes)


def find_task(state: State, reference: str) -> Task:
    """The task that a reference names. Raises NotFound or Invalid."""
    if found := state.tasks.get(reference):
        return found
    named = [task for task in _named_tasks(state, reference) if task_name(state, task) == reference]
    return named[0] if named else _by_prefix("task", reference, state.tasks)


def find_file(state: State, kind: Kind[F], what: str, reference: str) -> F:
    """The secret or config (`what`) that a reference names. Raises NotFound or Invalid."""
    table = state.table(kind)
    return table.get(reference) or file_named(state, kind, reference) or _by_prefix(what, reference, table)


def file_named(state: State, kind: Kind[F], name: str) -> F | None:
    """The secret or config of that exact name, else the version of that name that was deployed last; None if none."""
    table = state.table(kind)
    return next((one for one in table.values() if one.spec.name == name), None) or newest(table.values(), name)


def hostname(state: State, node_id: str) -> str:
    """The hostname that a node has reported; "" before it has reported one."""
    description = state.descriptions.get(node_id)
    return description.hostname if description else ""


def _named_tasks(state: State, name: str) -> Iterable[Task]:
    service = state.service_named(name.rsplit(".", 2)[0])
    return state.tasks_of(service.id).values() if service else ()


def _by_prefix(what: str, reference: str, table: Mapping[str, T]) -> T:
    found = [value for id, value in table.items() if id.startswith(reference)] if reference else []
    if len(found) > 1:
        raise Invalid(f"{what} {reference} is ambiguous ({len(found)} matches found)")
    if not found:
        raise NotFound(f"{what} {reference} not found")
    return found[0]
