"""What users want: written by the API on any manager, by compare-and-swap on the version that was read.

Times are Unix seconds.
"""

from __future__ import annotations

from api.codec import Value
from api.defaults import SECOND
from api.network.network_spec import NetworkSpec
from api.node_spec import NodeSpec
from api.service.service_spec import ServiceSpec
from api.stored_file import ConfigSpec, SecretSpec


class Cluster(Value, frozen=True):
    """The one cluster object (id "default" in the store; `id` is the cluster's own)."""

    id: str
    created_at: float = 0.0
    updated_at: float = 0.0
    ca_certificate: str = ""
    """PEM."""
    ca_key: str = ""
    """PEM. Only managers can read the store."""
    worker_secret: str = ""
    """Last part of the worker join token."""
    manager_secret: str = ""
    labels: dict[str, str] = {}
    address_pool: list[str] = []
    subnet_length: int = 24
    data_path_port: int = 4789
    task_history: int = 5
    heartbeat: float = 2.0
    """Seconds."""
    cert_expiry: int = 7_776_000_000_000_000
    """Nanoseconds."""
    data_key: bytes = b""
    """Encrypts the secrets in the store (manager/security/encryption.py); made with the first of them."""
    former_data_keys: list[bytes] = []
    """Newest first; kept until nothing is encrypted with them any more."""
    rekeyed_at: float = 0.0
    """When the keys were last replaced because a node had stopped being a manager."""
    sealed: bytes = b""
    """In etcd: the CA's key, both secrets and the data keys, encrypted (sealing.py). Empty once opened."""
    seal_key: bytes = b""
    """What `sealed` is encrypted with. In a manager's memory only."""
    wraps: dict[str, bytes] = {}
    """The seal key, encrypted for each manager's own key, by node id."""

    @property
    def cert_seconds(self) -> float:
        """How long a certificate is good for."""
        return self.cert_expiry / SECOND


class Node(Value, frozen=True):
    """A member of the cluster, as wanted; made when it joins."""

    id: str
    created_at: float = 0.0
    updated_at: float = 0.0
    spec: NodeSpec = NodeSpec()
    public_key: bytes = b""
    """The key it joined with (SubjectPublicKeyInfo, DER). A certificate for another key is not accepted."""


class Certificate(Value, frozen=True):
    """Record of a manager's certificate, so that it can be revoked. Store id: its serial number, hexadecimal."""

    node_id: str
    expires_at: float


class Service(Value, frozen=True):
    """A service, as wanted. `revision` grows by one with every accepted change of the spec."""

    id: str
    created_at: float = 0.0
    updated_at: float = 0.0
    spec: ServiceSpec = ServiceSpec()
    revision: int = 1
    rollback: bool = False
    """Whether this revision was requested as a rollback; the rollback config then applies."""
    registry_login: bytes = b""
    """The login its hosts pull the image with, an auth.json, encrypted like a secret; never shown."""


class Network(Value, frozen=True):
    """A network, as wanted. The id of the routing mesh's is "ingress"."""

    id: str
    created_at: float = 0.0
    spec: NetworkSpec = NetworkSpec()
    removed: bool = False
    """Removal was requested: hidden from users, and deleted by the leader once no task uses it."""


class Secret(Value, frozen=True):
    """A secret, as wanted. Its spec is kept without data; `sealed` is the data, encrypted."""

    id: str
    created_at: float = 0.0
    updated_at: float = 0.0
    spec: SecretSpec = SecretSpec()
    sealed: bytes = b""


class Config(Value, frozen=True):
    """A config, as wanted."""

    id: str
    created_at: float = 0.0
    updated_at: float = 0.0
    spec: ConfigSpec = ConfigSpec()


class Claim(Value, frozen=True):
    """A name that is taken, so that two managers cannot both give it out. Store id: "<kind>.<name>".

    Written in one commit with its owner. One whose owner is gone, or goes by another name, is void.
    """

    owner: str
    """Id of the service, network, secret or config."""


# ── observed ─────────────────────────────────────────────────────────────────────────────────────────────────────
