"""etcd's command line, and the versions of etcd that are refused. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from api.defaults import ETCD_CLIENT_PORT, ETCD_PEER_PORT
from api.errors import Invalid
from api.wire.session_messages import MANAGER_NAME

DEFAULT_QUOTA = 2 << 30
UNSAFE = ((3, 5, 0), (3, 5, 1), (3, 5, 2))
"""Versions that can lose data in a crash (etcd's notice of March 2022)."""
OLDEST = (3, 4, 0)
"""The first version with learners."""


@dataclass(frozen=True, slots=True)
class EtcdSettings:
    """Where this manager's etcd lives and listens."""

    node_id: str
    directory: Path
    """Holds the data, the certificates, the log and the pid file: `<data-root>/etcd`."""
    address: str
    """IP address at which other managers reach it; must be in the certificate."""
    listen_address: str = ""
    """IP address to listen on; "" for `address`."""
    client_port: int = ETCD_CLIENT_PORT
    peer_port: int = ETCD_PEER_PORT
    binary: str = "etcd"
    quota: int = DEFAULT_QUOTA
    """Most bytes of etcd's database file."""
    memory: int = 0
    """Most bytes of memory; 0 for no limit."""

    @property
    def data(self) -> Path:
        """etcd's data directory."""
        return self.directory / "data"

    @property
    def log(self) -> Path:
        """etcd's log file."""
        return self.directory / "etcd.log"

    @property
    def pid_file(self) -> Path:
        """The file with the pid of the running etcd."""
        return self.directory / "etcd.pid"

    @property
    def revoked(self) -> Path:
        """The revocation list (CRL); etcd reads it at each new connection."""
        return self.directory / "revoked.crl"

    @property
    def endpoint(self) -> str:
        """Where this manager's own store connects: "host:port"."""
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
    """The command to run etcd. `others`: the initial cluster without us; "" for a new cluster, None for a restart.

    Workers have certificates of the same CA, so etcd accepts only certificates with the name `swarm-manager`.
    """
    own = f"{settings.node_id}={settings.peer_url}"
    listen = _host(settings.listen_address or settings.address)
    skip_san = "peer-skip-client-san-verification"  # a peer's source address may differ from the one in its certificate
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
        "snapshot-count": 1_000,  # limits what is read into memory at startup
        "pre-vote": "true",  # a member that returns causes no election
        "enable-grpc-gateway": "false",
        "logger": "zap",
        "log-outputs": "stderr",
        "log-level": "warn",
    }
    return [settings.binary, *(f"--{name}={value}" for name, value in options.items())]


def parse_version(text: str) -> tuple[int, int, int]:
    """The version in the output of `etcd --version` or in a status. Raises Invalid."""
    if found := re.search(r"(\d+)\.(\d+)\.(\d+)", text):
        major, minor, patch = map(int, found.groups())
        return major, minor, patch
    raise Invalid(f"this is no version of etcd: {text.strip()[:80]!r}")


def check_version(version: tuple[int, int, int]) -> None:
    """Raises Invalid for a version that is unsafe or too old."""
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
