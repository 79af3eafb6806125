"""A certificate authority for tests, whose certificates have the form of the cluster's."""

from __future__ import annotations

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api.wire.rpc import Credentials

START = datetime.datetime(2020, 1, 1)
END = datetime.datetime(2099, 1, 1)


class Authority:
    """Issues node certificates: CN = node id, OU = role, both as DNS names, and the given addresses."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test-ca")])
        builder = self._builder(name, name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())

    def issue(self, node_id: str, role: str, addresses: tuple[str, ...] = ("127.0.0.1",)) -> Credentials:
        """A node's credentials; `role` is "manager" or "worker"."""
        key = ec.generate_private_key(ec.SECP256R1())
        unit = f"swarm-{role}"
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "cluster"),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
                x509.NameAttribute(NameOID.COMMON_NAME, node_id),
            ]
        )
        names: list[x509.GeneralName] = [x509.DNSName(unit), x509.DNSName(node_id)]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        usages = [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH, x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = self._builder(subject, self._certificate.subject, key.public_key())
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pem = serialization.Encoding.PEM
        return Credentials(
            certificate.public_bytes(pem),
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
            self._certificate.public_bytes(pem),
        )

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
        return builder.serial_number(x509.random_serial_number()).not_valid_before(START).not_valid_after(END)
