"""Nodes, the cluster, and the Swarm part of GET /info, as the Engine API shows them. Pure."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api import defaults
from api.codec import shown
from api.engine.common import timestamp
from api.objects.decided import NodeDecision
from api.objects.kinds import CLUSTER, DEFAULT_CLUSTER, NODE
from api.objects.observed import NodeDescription
from api.objects.wanted import Cluster, Node
from api.reasons.reason_text import text
from api.states import NodeState, Role
from manager.hosts.occupied_prefixes import node_troubles
from manager.http.cluster_context import ClusterContext
from manager.security.border import host_address, shorten
from manager.store.state import State

Json = dict[str, Any]

# Raft is etcd's affair here; clients are shown Docker's defaults, which they send back unchanged
RAFT = {
    "SnapshotInterval": 10000,
    "KeepOldSnapshots": 0,
    "LogEntriesForSlowFollowers": 500,
    "ElectionTick": 10,
    "HeartbeatTick": 1,
}


def meta(version: int, created: float, updated: float) -> Json:
    """What every object has."""
    return {"Version": {"Index": version}, "CreatedAt": timestamp(created), "UpdatedAt": timestamp(updated)}


def node_view(state: State, node: Node, leader_id: str) -> Json:
    """A node: as wanted, decided and observed."""
    decision, description = state.node_decisions.get(node.id), state.descriptions.get(node.id)
    view: Json = {
        "ID": node.id,
        **meta(state.version(NODE, node.id), node.created_at, max(node.updated_at, decision.since if decision else 0)),
        "Spec": {"Labels": {}, **shown(node.spec)},
        "Description": _description(state, description or NodeDescription()),
        "Status": {"State": (decision.state if decision else NodeState.UNKNOWN).value},
    }
    told = [node_message(decision, description), *(node_troubles(state, node.id, description) if description else ())]
    if message := "; ".join(filter(None, told)):
        view["Status"]["Message"] = message
    if description and description.address:
        view["Status"]["Addr"] = description.address
    if is_manager(state, node):
        view["ManagerStatus"] = _manager_status(state, node.id, leader_id)
    return view


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


def _manager_status(state: State, node_id: str, leader_id: str) -> Json:
    member, description = state.members.get(node_id), state.descriptions.get(node_id)
    address = member.address if member else ""
    if not address and description and description.manager_port:
        address = f"{description.address}:{description.manager_port}"
    status: Json = {"Reachability": "reachable" if member else "unreachable", "Addr": address}
    return {"Leader": True, **status} if node_id == leader_id else status


def _description(state: State, description: NodeDescription) -> Json:
    resources = description.resources.reservations if description.resources else None
    cluster = state.cluster
    return {
        "Hostname": description.hostname,
        "Platform": {"Architecture": description.architecture, "OS": description.os},
        "Resources": shown(resources) if resources else {},
        "Engine": {
            "EngineVersion": description.engine.engine_version,
            **({"Labels": description.engine.labels} if description.engine.labels else {}),
            "Plugins": [
                {"Type": "Log", "Name": "json-file"},
                {"Type": "Network", "Name": "overlay"},
                {"Type": "Volume", "Name": "local"},
            ],
        },
        "TLSInfo": tls_view(cluster.ca_certificate if cluster else ""),
    }


@lru_cache(maxsize=16)
def _issuer(pem: str) -> tuple[str, str]:
    certificate = x509.load_pem_x509_certificate(pem.encode())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(certificate.subject.public_bytes()).decode(), base64.b64encode(key).decode()


def tls_view(ca_certificate: str) -> Json:
    """Whom the cluster trusts."""
    if not ca_certificate:
        return {}
    subject, key = _issuer(ca_certificate)
    return {"TrustRoot": ca_certificate, "CertIssuerSubject": subject, "CertIssuerPublicKey": key}


def cluster_view(state: State, cluster: Cluster) -> Json:
    """The cluster, without its join tokens."""
    return {
        "ID": cluster.id,
        **meta(state.version(CLUSTER, DEFAULT_CLUSTER), cluster.created_at, cluster.updated_at),
        "Spec": cluster_spec_view(cluster),
        "TLSInfo": tls_view(cluster.ca_certificate),
        "RootRotationInProgress": False,
        "DefaultAddrPool": cluster.address_pool or [defaults.ADDRESS_POOL],
        "SubnetSize": cluster.subnet_length,
        "DataPathPort": cluster.data_path_port,
    }


def cluster_spec_view(cluster: Cluster) -> Json:
    """The part of the cluster a user may change, as `docker swarm update` sends it back."""
    return {
        "Name": DEFAULT_CLUSTER,
        "Labels": cluster.labels,
        "Orchestration": {"TaskHistoryRetentionLimit": cluster.task_history},
        "Raft": RAFT,
        "Dispatcher": {"HeartbeatPeriod": round(cluster.heartbeat * defaults.SECOND)},
        "CAConfig": {"NodeCertExpiry": cluster.cert_expiry},
        "TaskDefaults": {},
        "EncryptionConfig": {"AutoLockManagers": False},
    }


def swarm_block(ctx: ClusterContext) -> dict[str, Any]:
    """The `Swarm` part of GET /info on a manager."""
    state = ctx.store.state
    own, cluster = state.descriptions.get(ctx.node_id), state.cluster
    return {
        "NodeID": ctx.node_id,
        "NodeAddr": own.address if own else "",
        "LocalNodeState": "active",
        "ControlAvailable": True,
        "Error": "",
        "RemoteManagers": [
            {"NodeID": node_id, "Addr": member.address} for node_id, member in sorted(state.members.items())
        ],
        "Nodes": len(state.nodes),
        "Managers": sum(is_manager(state, node) for node in state.nodes.values()),
        **({"Cluster": cluster_view(state, cluster)} if cluster else {}),
    }
