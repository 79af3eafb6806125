"""The host's identity on disk: its membership of a cluster, its key and its certificate.

Files have mode 0600 and are replaced atomically. The key stays the same over renewals, so that renewing a certificate
replaces one file.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from api.codec import Value, decode, encode
from api.defaults import VXLAN_PORT
from api.states import Role
from api.wire.rpc import Credentials
from kit import mirrored_file
from kit.files import replace_file
from manager.security import ca


class Membership(Value, frozen=True):
    """The host's record of its cluster, besides the certificates."""

    node_id: str
    cluster_id: str
    listen_addr: str
    """host:port of the manager's HTTPS port, when it is one."""
    address: str = ""
    """The advertised IP address."""
    advertise_addr: str = ""
    """As given by the user; "" when it was chosen."""
    interface: str = ""
    """The interface that has (or last had) the address; "" when none ever had it."""
    data_path_port: int = VXLAN_PORT
    data_path_addr: str = ""
    """The address for VXLAN packets, if it is not the advertised one."""
    data_path_interface: str = ""
    """The interface that has (or last had) that address."""
    managers: list[str] = []
    """"address:host_port" of managers, to begin with."""
    apis: list[str] = []
    """"address:port" of their HTTPS ports."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A membership with its credentials."""

    membership: Membership
    credentials: Credentials

    @property
    def node_id(self) -> str:
        """The node's id."""
        return self.membership.node_id

    @property
    def role(self) -> Role:
        """The role in the certificate."""
        return ca.subject_of(self.credentials.certificate).role


class IdentityFiles:
    """`<data-root>/node`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def certificate(self) -> Path:
        """The node's certificate, PEM."""
        return self._directory / "cert.pem"

    @property
    def key(self) -> Path:
        """The node's key, PEM."""
        return self._directory / "key.pem"

    @property
    def authority(self) -> Path:
        """The CA's certificate, PEM."""
        return self._directory / "ca.pem"

    @property
    def _membership(self) -> Path:
        return self._directory / "membership.json"

    def load(self) -> Identity | None:
        """The identity; None when the host is in no cluster."""
        try:
            membership = mirrored_file.load(self._membership, partial(decode, Membership))
            credentials = Credentials(self.certificate.read_bytes(), self.key.read_bytes(), self.authority.read_bytes())
        except FileNotFoundError:
            return None
        return Identity(membership, credentials)

    def save(self, identity: Identity) -> None:
        """Write all files; the membership last, because `load` depends on it."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(self.key, identity.credentials.key)
        _write(self.certificate, identity.credentials.certificate)
        _write(self.authority, identity.credentials.ca)
        for path in (mirrored_file.copy_of(self._membership), self._membership):
            _write(path, encode(identity.membership))

    def clear(self) -> None:
        """Remove all files."""
        mirrored_file.remove(self._membership)
        shutil.rmtree(self._directory, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    """Replace a file, readable by root only, so that a power cut leaves the old or the new."""
    replace_file(path, data, durable=True)
