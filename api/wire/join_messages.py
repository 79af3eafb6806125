"""How a host becomes a node: bodies of the managers' HTTPS port (2377)."""

from __future__ import annotations

from api.codec import Value


class JoinRequest(Value, frozen=True):
    """POST /argosy/v1/join, without a client certificate: the token is the credential."""

    token: str
    csr: str
    """PEM; its subject is ignored."""
    availability: str = ""


class JoinAnswer(Value, frozen=True):
    """A node's certificate and where the managers are."""

    node_id: str
    certificate: str
    """PEM."""
    ca_certificate: str
    """PEM; the caller has checked it against the token's digest."""
    cluster_id: str
    managers: list[str]
    """"address:host_port" of every manager alive."""
    apis: list[str] = []
    """"address:port" of their manager APIs."""
    data_path_port: int = 4789


class RenewRequest(Value, frozen=True):
    """POST /argosy/v1/renew, with the node's present certificate."""

    csr: str


class MemberRequest(Value, frozen=True):
    """POST /argosy/v1/members, manager certificate: add this node's etcd member as a learner."""

    peer_url: str


class MemberAnswer(Value, frozen=True):
    """What etcd's command line needs."""

    member_id: str
    initial_cluster: str
    endpoints: list[str]
