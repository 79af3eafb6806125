"""Join messages: bodies of the managers' join port (HTTPS, 2377), by which a host becomes a node."""

from __future__ import annotations

from api.codec import Value


class JoinRequest(Value, frozen=True):
    """POST /argosy/v1/join, without a client certificate: the token is the credential."""

    token: str
    csr: str
    """PEM; its subject is ignored."""
    availability: str = ""


class JoinAnswer(Value, frozen=True):
    """A node's certificate, and the managers' addresses."""

    node_id: str
    certificate: str
    """PEM."""
    ca_certificate: str
    """PEM; the caller has checked it against the token's digest."""
    cluster_id: str
    managers: list[str]
    """"address:host_port" of every living manager."""
    apis: list[str] = []
    """"address:port" of their manager APIs."""
    data_path_port: int = 4789


class RenewRequest(Value, frozen=True):
    """POST /argosy/v1/renew, with the node's current certificate."""

    csr: str


class MemberRequest(Value, frozen=True):
    """POST /argosy/v1/members, manager certificate: add this node's etcd member as a learner."""

    peer_url: str


class MemberAnswer(Value, frozen=True):
    """The values for etcd's command line."""

    member_id: str
    initial_cluster: str
    endpoints: list[str]
