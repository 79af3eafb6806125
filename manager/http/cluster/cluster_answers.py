"""Nodes, the cluster, and the Swarm part of GET /info, as the Engine API answers them. Pure."""

from __future__ import annotations

import base64
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api import defaults
from api.engine.common import VersionAnswer, timestamp
from api.engine.swarm import (
    CAConfigAnswer,
    ClusterAnswer,
    ClusterSpecAnswer,
    DispatcherAnswer,
    EngineAnswer,
    ManagerStatusAnswer,
    NodeAnswer,
    NodeDescriptionAnswer,
    NodeSpecAnswer,
    NodeStatusAnswer,
    OrchestrationAnswer,
    PlatformAnswer,
    PluginAnswer,
    RemoteManagerAnswer,
    SwarmInfoAnswer,
    TLSInfoAnswer,
)  # fmt: skip
from api.objects.decided import NodeDecision
from api.objects.kinds import CLUSTER, DEFAULT_CLUSTER, NODE
from api.objects.observed import NodeDescription
from api.objects.wanted import Cluster, Node
from api.reasons.reason_text import text
from api.service.resources import Reservations
from api.states import NodeState, Role
from manager.hosts.occupied_prefixes import node_troubles
from manager.http.cluster_context import ClusterContext
from manager.security.border import host_address, shorten
from manager.store.state import State

PLUGINS = [PluginAnswer("Log", "json-file"), PluginAnswer("Network", "overlay"), PluginAnswer("Volume", "local")]
"""The drivers that every node has."""


def node_answer(state: State, node: Node, leader_id: str) -> NodeAnswer:
    """The answer about a node: wanted, decided and observed state in one."""
    decision, description = state.node_decisions.get(node.id), state.descriptions.get(node.id)
    troubles = node_troubles(state, node.id, description) if description else ()
    message = "; ".join(filter(None, (node_message(decision, description), *troubles)))
    status = decision.state if decision else NodeState.UNKNOWN
    return NodeAnswer(
        node.id,
        VersionAnswer(state.version(NODE, node.id)),
        timestamp(node.created_at),
        timestamp(max(node.updated_at, decision.since if decision else 0)),
        NodeSpecAnswer(node.spec.name, node.spec.labels, node.spec.role, node.spec.availability),
        _description(state, description or NodeDescription()),
        NodeStatusAnswer(status.value, message, description.address if description else ""),
        _manager_status(state, node.id, leader_id) if is_manager(state, node) else None,
    )


def node_message(decision: NodeDecision | None, description: NodeDescription | None) -> str:
    """Why a node is in its state, and what does not work on it."""
    told = [text(decision.reason)] if decision and decision.reason else []
    if description is not None:
        if not host_address(description.address):
            told.append(f"its address {shorten(description.address)} is of no use; no other host is told of it")
        if decision and decision.state is NodeState.READY:
            told += description.troubles
    return "; ".join(told)


def is_manager(state: State, node: Node) -> bool:
    """Whether the node is, or is to be, a manager."""
    return node.spec.role is Role.MANAGER or node.id in state.members


def _manager_status(state: State, node_id: str, leader_id: str) -> ManagerStatusAnswer:
    member, description = state.members.get(node_id), state.descriptions.get(node_id)
    address = member.address if member else ""
    if not address and description and description.manager_port:
        address = f"{description.address}:{description.manager_port}"
    return ManagerStatusAnswer(node_id == leader_id, "reachable" if member else "unreachable", address)


def _description(state: State, description: NodeDescription) -> NodeDescriptionAnswer:
    resources = description.resources.reservations if description.resources else None
    cluster = state.cluster
    return NodeDescriptionAnswer(
        description.hostname,
        PlatformAnswer(description.architecture, description.os),
        resources or Reservations(),
        EngineAnswer(description.engine.engine_version, description.engine.labels, PLUGINS),
        tls_answer(cluster.ca_certificate if cluster else ""),
    )


@lru_cache(maxsize=16)
def tls_answer(ca_certificate: str) -> TLSInfoAnswer:
    """The cluster's trusted CA; takes its certificate as PEM."""
    if not ca_certificate:
        return TLSInfoAnswer()
    certificate = x509.load_pem_x509_certificate(ca_certificate.encode())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    subject = certificate.subject.public_bytes()
    return TLSInfoAnswer(ca_certificate, base64.b64encode(subject).decode(), base64.b64encode(key).decode())


def cluster_answer(state: State, cluster: Cluster) -> ClusterAnswer:
    """The cluster, without its join tokens."""
    return ClusterAnswer(
        cluster.id,
        VersionAnswer(state.version(CLUSTER, DEFAULT_CLUSTER)),
        timestamp(cluster.created_at),
        timestamp(cluster.updated_at),
        _cluster_spec(cluster),
        tls_answer(cluster.ca_certificate),
        default_addr_pool=cluster.address_pool or [defaults.ADDRESS_POOL],
        subnet_size=cluster.subnet_length,
        data_path_port=cluster.data_path_port,
    )


def _cluster_spec(cluster: Cluster) -> ClusterSpecAnswer:
    """The part of the cluster a user may change, as `docker swarm update` sends it back."""
    return ClusterSpecAnswer(
        labels=cluster.labels,
        orchestration=OrchestrationAnswer(cluster.task_history),
        dispatcher=DispatcherAnswer(round(cluster.heartbeat * defaults.SECOND)),
        ca_config=CAConfigAnswer(cluster.cert_expiry),
    )


def swarm_info(ctx: ClusterContext) -> SwarmInfoAnswer:
    """The `Swarm` part of GET /info on a manager."""
    state = ctx.store.state
    own, cluster = state.descriptions.get(ctx.node_id), state.cluster
    return SwarmInfoAnswer(
        node_id=ctx.node_id,
        node_addr=own.address if own else "",
        local_node_state="active",
        control_available=True,
        remote_managers=[RemoteManagerAnswer(id, member.address) for id, member in sorted(state.members.items())],
        nodes=len(state.nodes),
        managers=sum(is_manager(state, node) for node in state.nodes.values()),
        cluster=cluster_answer(state, cluster) if cluster else None,
    )
