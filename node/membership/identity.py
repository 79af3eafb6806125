"""Who this host is, on disk: its place in a cluster, its key and its certificate. Files are 0600, written at once.

The key is kept over renewals, so that a certificate is replaced by replacing one file.
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
    """What the host remembers of its cluster, besides the certificates."""

    node_id: str
    cluster_id: str
    listen_addr: str
    """host:port of the manager's HTTPS port, when it is one."""
    address: str = ""
    """The IP address that others are told."""
    advertise_addr: str = ""
    """As it was given; "" when it was chosen."""
    interface: str = ""
    """The interface that has (or had last) the address; "" when none was ever seen to have it."""
    data_path_port: int = VXLAN_PORT
    data_path_addr: str = ""
    """Where VXLAN packets are sent, if that is not the advertised address."""
    data_path_interface: str = ""
    """The interface that has (or had last) that address."""
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
        """This node's."""
        return self.membership.node_id

    @property
    def role(self) -> Role:
        """As the certificate has it."""
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
        """Write all of it; the membership last, for that is what `load` goes by."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(self.key, identity.credentials.key)
        _write(self.certificate, identity.credentials.certificate)
        _write(self.authority, identity.credentials.ca)
        for path in (mirrored_file.copy_of(self._membership), self._membership):
            _write(path, encode(identity.membership))

    def clear(self) -> None:
        """Forget the cluster."""
        mirrored_file.remove(self._membership)
        shutil.rmtree(self._directory, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    """Replace a file, readable by root only, so that a power cut leaves the old or the new."""
    replace_file(path, data, durable=True)
