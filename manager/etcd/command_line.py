"""The command line of this manager's etcd, and which versions of it are refused. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from api.defaults import ETCD_CLIENT_PORT, ETCD_PEER_PORT
from api.errors import Invalid
from api.wire.session_messages import MANAGER_NAME

DEFAULT_QUOTA = 2 << 30
UNSAFE = ((3, 5, 0), (3, 5, 1), (3, 5, 2))
"""Can lose consistency on a crash (etcd's own notice of March 2022)."""
OLDEST = (3, 4, 0)
"""The first with learners."""


@dataclass(frozen=True, slots=True)
class EtcdSettings:
    """Where this manager's etcd lives and listens."""

    node_id: str
    directory: Path
    """Holds the data, the certificates, the log and the pid file: `<data-root>/etcd`."""
    address: str
    """IP address the other managers reach it at; must be in the certificate."""
    listen_address: str = ""
    """IP address to listen on; "" for `address`."""
    client_port: int = ETCD_CLIENT_PORT
    peer_port: int = ETCD_PEER_PORT
    binary: str = "etcd"
    quota: int = DEFAULT_QUOTA
    """Bytes of etcd's file."""
    memory: int = 0
    """Bytes of memory it may use; 0 for as much as there is."""

    @property
    def data(self) -> Path:
        """etcd's data directory."""
        return self.directory / "data"

    @property
    def log(self) -> Path:
        """What etcd says."""
        return self.directory / "etcd.log"

    @property
    def pid_file(self) -> Path:
        """The process that runs on the data."""
        return self.directory / "etcd.pid"

    @property
    def revoked(self) -> Path:
        """The certificates etcd takes no more; it reads the list whenever somebody connects."""
        return self.directory / "revoked.crl"

    @property
    def endpoint(self) -> str:
        """Where this manager's store connects: "host:port"."""
        return f"{_host(self.listen_address or self.address)}:{self.client_port}"

    @property
    def peer_url(self) -> str:
        """Where the other members connect."""
        return f"https://{_host(self.address)}:{self.peer_port}"

    @property
    def client_url(self) -> str:
        """Where the other managers' stores connect."""
        return f"https://{_host(self.address)}:{self.client_port}"


def command(settings: EtcdSettings, version: tuple[int, int, int], others: str | None) -> list[str]:
    """etcd's arguments. `others` is the initial cluster without us: "" for a new cluster, None for a restart.

    Workers hold certificates of the same authority: only the name `swarm-manager` in a certificate lets its holder in.
    """
    own = f"{settings.node_id}={settings.peer_url}"
    listen = _host(settings.listen_address or settings.address)
    skip_san = "peer-skip-client-san-verification"  # the address a peer calls from may differ from its certificate's
    options = {
        "name": settings.node_id,
        "data-dir": settings.data,
        "listen-client-urls": f"https://{listen}:{settings.client_port}",
        "advertise-client-urls": settings.client_url,
        "listen-peer-urls": f"https://{listen}:{settings.peer_port}",
        "initial-advertise-peer-urls": settings.peer_url,
        "initial-cluster": f"{others},{own}" if others else own,
        "initial-cluster-state": "existing" if others else "new",
        **_tls("", "client-cert-allowed-hostname", settings.directory),
        **_tls("peer-", "peer-cert-allowed-hostname", settings.directory),
        "client-crl-file": settings.revoked,
        "peer-crl-file": settings.revoked,
        skip_san if version >= (3, 6, 0) else f"experimental-{skip_san}": "true",
        "max-txn-ops": 10_000,
        "max-request-bytes": 32 << 20,
        "quota-backend-bytes": settings.quota,
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "10m",
        "snapshot-count": 1_000,  # bounds what is read into memory at a start
        "pre-vote": "true",  # a member that comes back does not disturb the others
        "enable-grpc-gateway": "false",
        "logger": "zap",
        "log-outputs": "stderr",
        "log-level": "warn",
    }
    return [settings.binary, *(f"--{name}={value}" for name, value in options.items())]


def parse_version(text: str) -> tuple[int, int, int]:
    """The version in `etcd --version`'s answer or in a status. Raises Invalid."""
    if found := re.search(r"(\d+)\.(\d+)\.(\d+)", text):
        major, minor, patch = map(int, found.groups())
        return major, minor, patch
    raise Invalid(f"this is no version of etcd: {text.strip()[:80]!r}")


def check_version(version: tuple[int, int, int]) -> None:
    """Raises Invalid for a version that must not hold a cluster's state."""
    shown = ".".join(map(str, version))
    if version in UNSAFE:
        raise Invalid(f"etcd {shown} can lose data in a crash: install 3.4, or 3.5.3 or later")
    if version < OLDEST:
        raise Invalid(f"etcd {shown} is too old: install 3.4, or 3.5.3 or later")


def _tls(prefix: str, allowed: str, directory: Path) -> dict[str, object]:
    return {
        f"{prefix}cert-file": directory / "node.crt",
        f"{prefix}key-file": directory / "node.key",
        f"{prefix}trusted-ca-file": directory / "ca.crt",
        f"{prefix}client-cert-auth": "true",
        allowed: MANAGER_NAME,
    }


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
