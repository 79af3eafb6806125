"""A cluster's CA and its nodes' credentials, for tests that use TLS."""

from __future__ import annotations

import socket
import time

from api.objects.wanted import Cluster
from api.states import Role
from api.wire.rpc import Credentials
from manager.security import ca

NOW = time.time()  # noqa: TID251 - TLS compares with the machine's clock
AUTHORITY = ca.new_authority(NOW)
CLUSTER = Cluster(
    id="c1",
    ca_certificate=AUTHORITY.certificate.decode(),
    ca_key=AUTHORITY.key.decode(),
    worker_secret=ca.new_secret(),
    manager_secret=ca.new_secret(),
)


def credentials(node_id: str, role: Role = Role.WORKER, authority: ca.CertificateAuthority = AUTHORITY) -> Credentials:
    """The credentials of a node."""
    key = ca.new_key()
    certificate = ca.sign(authority, ca.signing_request(key), ca.Subject(node_id, role, "c1"), NOW, 3600.0)
    return Credentials(certificate, key, authority.certificate)


def free_port() -> int:
    """A free TCP port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
