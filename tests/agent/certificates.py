"""A throw-away cluster CA, and certificates in the form that api/wire/session_messages.py describes."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api.wire.rpc import Credentials

START, END = datetime(2020, 1, 1), datetime(2020, 1, 1) + timedelta(days=36500)


class TestCA:
    """Issues credentials for nodes."""

    __test__ = False

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "swarm-ca")])
        builder = self._builder(self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def issue(self, node_id: str, role: str) -> Credentials:
        """Credentials of a node; `role` is worker or manager."""
        key = ec.generate_private_key(ec.SECP256R1())
        unit = f"swarm-{role}"
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
                x509.NameAttribute(NameOID.COMMON_NAME, node_id),
            ]
        )
        names = x509.SubjectAlternativeName([x509.DNSName(node_id), x509.DNSName(unit)])
        certificate = self._builder(name, key.public_key()).add_extension(names, critical=False)
        return Credentials(
            certificate.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
            self.certificate,
        )

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(START)
            .not_valid_after(END)
        )
