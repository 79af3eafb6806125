"""Revocation: the certificates of former managers, which etcd must refuse. Pure.

Each certificate issued for a manager is recorded in the store (serial number, node, end). It is revoked when its node
was removed or is wanted as a worker; nothing has to be written for that. The record is deleted once the certificate has
expired.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from api.objects.kinds import CERTIFICATE
from api.objects.wanted import Certificate
from api.wire.rpc import public_key
from manager.store.interface import Change, Delete, Put
from manager.store.state import State

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def record_of(node_id: str, certificate: bytes) -> Put:
    """The record of a manager's certificate (PEM), to be committed."""
    leaf = x509.load_pem_x509_certificate(certificate)
    return Put(CERTIFICATE, f"{leaf.serial_number:x}", Certificate(node_id, leaf.not_valid_after_utc.timestamp()))


def is_recorded(state: State, certificate: bytes) -> bool:
    """Whether the certificate (PEM) is recorded."""
    return f"{x509.load_pem_x509_certificate(certificate).serial_number:x}" in state.table(CERTIFICATE)


def public_key_of(certificate: bytes) -> bytes:
    """The public key (DER) of a certificate (PEM)."""
    return public_key(x509.load_pem_x509_certificate(certificate))


def expired_records(state: State, now: float) -> list[Change]:
    """Changes that delete the records of expired certificates."""
    return [Delete(CERTIFICATE, id) for id, one in state.table(CERTIFICATE).items() if one.expires_at < now]


def revoked_by_node(state: State) -> dict[str, set[int]]:
    """By former manager: the serial numbers of its certificates."""
    found: dict[str, set[int]] = {}
    for id, certificate in state.table(CERTIFICATE).items():
        if not state.is_manager(certificate.node_id):
            found.setdefault(certificate.node_id, set()).add(int(id, 16))
    return found


def revocation_list(serials: Iterable[int]) -> bytes:
    """A revocation list (CRL, PEM) of these serial numbers. Signed with a throwaway key: etcd checks no signature."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "swarm-ca")])
    builder = x509.CertificateRevocationListBuilder().issuer_name(name)
    builder = builder.last_update(_EPOCH).next_update(_EPOCH + timedelta(days=200 * 365))
    for serial in sorted(serials):
        one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(_EPOCH)
        builder = builder.add_revoked_certificate(one.build())
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM)


def serials_in(crl: bytes) -> frozenset[int]:
    """The serial numbers in a revocation list (PEM)."""
    return frozenset(one.serial_number for one in x509.load_pem_x509_crl(crl))
