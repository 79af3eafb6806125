"""The cluster's certificate authority: its key pair, nodes' certificates, and join tokens.

Functions of values; the time is a parameter, and only keys and serial numbers are random. Formats are those of Swarm
(swarmkit ca/certificates.go, ca/config.go): ECDSA P-256, a CA valid for 20 years, the node id as CN, the role as OU,
the cluster id as O, tokens `SWMTKN-1-<digest of the CA certificate>-<secret>`. Called by the join port
(manager/http/cluster/join_port.py) and by the node that creates a cluster (node/membership/new_cluster.py).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from api.errors import Forbidden, Invalid
from api.states import Role
from api.wire.rpc import public_key
from kit.base36 import DIGITS, base36

CA_LIFE = timedelta(days=20 * 365)
BACKDATE = timedelta(hours=1)
"""Certificates are valid from an hour ago, because clocks of hosts differ (swarmkit: CertBackdate)."""
TOKEN_PREFIX = "SWMTKN-1"
DIGEST_DIGITS = 50
SECRET_DIGITS = 25


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """The certificate and key of a CA, both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a node certificate. `addresses` become IP SANs, which etcd members check."""

    node_id: str
    role: Role
    cluster_id: str
    addresses: tuple[str, ...] = ()


def unit(role: Role) -> str:
    """The OU and DNS name for a role."""
    return f"swarm-{role.value}"


# ── keys and certificates ────────────────────────────────────────────────────────────────────────────────────────


def new_key() -> bytes:
    """A new P-256 private key, PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def new_authority(now: float) -> CertificateAuthority:
    """A self-signed CA, valid for 20 years from `now` (Unix seconds)."""
    pem = new_key()
    key = _private(pem)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "swarm-ca")])
    begin = datetime.fromtimestamp(now, UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - BACKDATE)
        .not_valid_after(begin + CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return CertificateAuthority(_pem(certificate), pem)


def signing_request(key: bytes, addresses: Iterable[str] = ()) -> bytes:
    """A CSR (PEM) for a key. It requests IP addresses; the CA sets the subject."""
    names = [x509.IPAddress(ipaddress.ip_address(a)) for a in addresses]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(_private(key), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def requested_addresses(csr: bytes) -> tuple[str, ...]:
    """The IP addresses that a CSR requests. Raises Invalid if it is not a CSR."""
    try:
        names = _request(csr).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(address) for address in names.get_values_for_type(x509.IPAddress))


def requested_key(csr: bytes) -> bytes:
    """The public key of a CSR (SubjectPublicKeyInfo, DER). Raises Invalid if it is not a CSR."""
    return public_key(_request(csr))


def sign(authority: CertificateAuthority, csr: bytes, subject: Subject, now: float, life: float) -> bytes:
    """A node certificate (PEM), valid for `life` seconds. Raises Invalid if the CSR is bad or not signed by its key."""
    request = _request(csr)
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    key = _private(authority.key)
    begin = datetime.fromtimestamp(now, UTC)
    end = min(begin + timedelta(seconds=life), issuer.not_valid_after_utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - BACKDATE)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName(_alternatives(subject)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(request.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    return _pem(builder.sign(key, hashes.SHA256()))


def verify(certificate: bytes, ca_certificate: bytes, now: float) -> None:
    """Raises Forbidden unless the CA signed the certificate and it is valid at `now` (Unix seconds)."""
    leaf, issuer = x509.load_pem_x509_certificate(certificate), x509.load_pem_x509_certificate(ca_certificate)
    try:
        leaf.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        raise Forbidden("the certificate was not issued by this cluster's CA") from None
    moment = datetime.fromtimestamp(now, UTC)
    if not leaf.not_valid_before_utc <= moment <= leaf.not_valid_after_utc:
        raise Forbidden(f"the certificate is not valid now; it ended at {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")


def subject_of(certificate: bytes) -> Subject:
    """The subject of a node certificate (PEM). Raises Forbidden if it has another format."""
    leaf = x509.load_pem_x509_certificate(certificate)
    try:
        name, role, cluster = (
            str(leaf.subject.get_attributes_for_oid(oid)[0].value)
            for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME)
        )
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        addresses = tuple(str(a) for a in names.get_values_for_type(x509.IPAddress))
        return Subject(name, Role(role.removeprefix("swarm-")), cluster, addresses)
    except (IndexError, ValueError, x509.ExtensionNotFound):
        raise Forbidden("the certificate names no node and role of a cluster") from None


def renew_at(certificate: bytes, fraction: float) -> float:
    """When to renew (Unix seconds): after `fraction` (0…1) of the certificate's life. Swarm uses 0.5 to 0.8."""
    leaf = x509.load_pem_x509_certificate(certificate)
    begin, end = leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()
    return begin + (end - begin) * fraction


# ── join tokens ──────────────────────────────────────────────────────────────────────────────────────────────────


def new_secret() -> str:
    """A new last part of a join token: 128 random bits."""
    return base36(secrets.randbits(128), SECRET_DIGITS)


def digest(ca_certificate: bytes) -> str:
    """The middle part of a join token: SHA-256 of the CA certificate's PEM without surrounding white space."""
    return base36(int.from_bytes(hashlib.sha256(ca_certificate.strip()).digest(), "big"), DIGEST_DIGITS)


def join_token(ca_certificate: bytes, secret: str) -> str:
    """The join token for the role that the secret belongs to."""
    return f"{TOKEN_PREFIX}-{digest(ca_certificate)}-{secret}"


def token_digest(token: str) -> str:
    """The CA digest in a token, for a joining host to check. Raises Invalid if it is not a token."""
    parts = token.strip().split("-")
    if len(parts) != 4 or "-".join(parts[:2]) != TOKEN_PREFIX:
        raise Invalid("invalid join token; it looks like SWMTKN-1-<50 characters>-<25 characters>")
    if len(parts[2]) != DIGEST_DIGITS or len(parts[3]) != SECRET_DIGITS or set(parts[2] + parts[3]) - set(DIGITS):
        raise Invalid("invalid join token; a part of it is missing or was mistyped")
    return parts[2]


def token_role(token: str, ca_certificate: bytes, worker_secret: str, manager_secret: str) -> Role:
    """The role for which a token admits a host. Raises Forbidden if it is of another cluster, or was rotated."""
    for role, secret in ((Role.WORKER, worker_secret), (Role.MANAGER, manager_secret)):
        expected = join_token(ca_certificate, secret)
        if secret and hmac.compare_digest(token.strip().encode(), expected.encode()):
            return role
    raise Forbidden("a valid join token is necessary to join this cluster; `docker swarm join-token` prints it")


# ── helpers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _private(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Invalid("the key is not an elliptic curve key")
    return key


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _request(csr: bytes) -> x509.CertificateSigningRequest:
    try:
        request = x509.load_pem_x509_csr(csr)
        valid = request.is_signature_valid and isinstance(request.public_key(), ec.EllipticCurvePublicKey)
    except Exception:  # the library raises many exception types for malformed input
        raise Invalid("csr: not a certificate signing request in PEM form") from None
    if not valid:
        raise Invalid("csr: not signed by its own elliptic curve key")
    return request


def _name(subject: Subject) -> x509.Name:
    return x509.Name([
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, subject.cluster_id),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit(subject.role)),
        x509.NameAttribute(NameOID.COMMON_NAME, subject.node_id),
    ])  # fmt: skip


def _alternatives(subject: Subject) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName(subject.node_id), x509.DNSName(unit(subject.role))]
    return [*names, *(x509.IPAddress(ipaddress.ip_address(a)) for a in subject.addresses)]


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_encipherment=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
