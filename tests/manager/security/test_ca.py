from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from api.errors import Forbidden, Invalid
from api.states import Role
from api.wire.rpc import caller_of
from manager.security import ca

NOW = 1_800_000_000.0
DAY = 86400.0


@pytest.fixture(scope="module")
def authority() -> ca.CertificateAuthority:
    return ca.new_authority(NOW)


def issue(
    authority: ca.CertificateAuthority,
    role: Role = Role.WORKER,
    addresses: tuple[str, ...] = (),
    life: float = 90 * DAY,
) -> bytes:
    csr = ca.signing_request(ca.new_key(), addresses)
    return ca.sign(authority, csr, ca.Subject("n1", role, "c1", addresses), NOW, life)


def test_a_node_certificate_tells_node_role_and_cluster(authority: ca.CertificateAuthority) -> None:
    certificate = issue(authority, Role.MANAGER, ("10.0.0.1",))
    assert ca.subject_of(certificate) == ca.Subject("n1", Role.MANAGER, "c1", ("10.0.0.1",))
    assert caller_of(certificate).node_id == "n1"
    leaf = x509.load_pem_x509_certificate(certificate)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["n1", "swarm-manager"]
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH} == set(usage)


def test_a_certificate_holds_from_an_hour_ago_for_its_life(authority: ca.CertificateAuthority) -> None:
    leaf = x509.load_pem_x509_certificate(issue(authority))
    assert leaf.not_valid_before_utc == datetime.fromtimestamp(NOW - 3600, UTC)
    assert leaf.not_valid_after_utc == datetime.fromtimestamp(NOW + 90 * DAY, UTC)


def test_no_certificate_outlives_the_authority(authority: ca.CertificateAuthority) -> None:
    leaf = x509.load_pem_x509_certificate(issue(authority, life=100 * 365 * DAY))
    assert leaf.not_valid_after_utc == x509.load_pem_x509_certificate(authority.certificate).not_valid_after_utc


def test_only_the_authority_that_signed_verifies(authority: ca.CertificateAuthority) -> None:
    certificate = issue(authority)
    ca.verify(certificate, authority.certificate, NOW)
    with pytest.raises(Forbidden, match="not issued by this cluster's CA"):
        ca.verify(certificate, ca.new_authority(NOW).certificate, NOW)
    with pytest.raises(Forbidden, match="not valid now"):
        ca.verify(certificate, authority.certificate, NOW + 91 * DAY)


def test_renewal_is_due_somewhere_in_the_life(authority: ca.CertificateAuthority) -> None:
    certificate = issue(authority)
    assert NOW < ca.renew_at(certificate, 0.5) < ca.renew_at(certificate, 0.8) < NOW + 90 * DAY


@pytest.mark.parametrize(
    "csr", [b"", b"no csr", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----"]
)
def test_what_is_no_csr_is_refused(authority: ca.CertificateAuthority, csr: bytes) -> None:
    with pytest.raises(Invalid, match="csr"):
        ca.sign(authority, csr, ca.Subject("n", Role.WORKER, "c"), NOW, DAY)
    with pytest.raises(Invalid, match="csr"):
        ca.requested_addresses(csr)


def test_a_csr_asks_for_addresses() -> None:
    assert ca.requested_addresses(ca.signing_request(ca.new_key(), ["10.0.0.1", "127.0.0.1"])) == (
        "10.0.0.1",
        "127.0.0.1",
    )
    assert ca.requested_addresses(ca.signing_request(ca.new_key())) == ()


def test_a_token_has_the_form_of_swarms_and_names_the_ca(authority: ca.CertificateAuthority) -> None:
    token = ca.join_token(authority.certificate, ca.new_secret())
    prefix, version, digest, secret = token.split("-")
    assert (prefix, version, len(digest), len(secret)) == ("SWMTKN", "1", 50, 25)
    assert ca.token_digest(token) == ca.digest(authority.certificate)
    assert ca.digest(authority.certificate + b"\n") == ca.digest(authority.certificate)


def test_the_secret_decides_the_role(authority: ca.CertificateAuthority) -> None:
    worker, manager = ca.new_secret(), ca.new_secret()
    for secret, role in ((worker, Role.WORKER), (manager, Role.MANAGER)):
        token = ca.join_token(authority.certificate, secret)
        assert ca.token_role(token, authority.certificate, worker, manager) is role
    with pytest.raises(Forbidden):
        ca.token_role(ca.join_token(authority.certificate, ca.new_secret()), authority.certificate, worker, manager)
    with pytest.raises(Forbidden):
        ca.token_role(ca.join_token(ca.new_authority(NOW).certificate, worker), authority.certificate, worker, manager)


def test_an_empty_secret_admits_nobody(authority: ca.CertificateAuthority) -> None:
    with pytest.raises(Forbidden):
        ca.token_role(ca.join_token(authority.certificate, ""), authority.certificate, "", "")


@pytest.mark.parametrize(
    "token", ["", "SWMTKN-1", "SWMTKN-2-a-b", "SWMTKN-1-short-short", "x" * 85, f"SWMTKN-1-{'A' * 50}-{'b' * 25}"]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(Invalid, match="invalid join token"):
        ca.token_digest(token)


def test_a_foreign_subject_is_refused(authority: ca.CertificateAuthority) -> None:
    with pytest.raises(Forbidden, match="names no node"):
        ca.subject_of(authority.certificate)
