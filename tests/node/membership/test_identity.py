from pathlib import Path

from api.states import Role
from api.wire.rpc import Credentials
from node.membership.identity import Identity, IdentityFiles, Membership
from tests.manager.certificates import credentials

MEMBERSHIP = Membership("n1", "c1", "0.0.0.0:2377", managers=["192.0.2.1:7946"])


def test_an_identity_comes_back_from_disk_readable_by_root_only(tmp_path: Path) -> None:
    files = IdentityFiles(tmp_path / "node")
    assert files.load() is None
    identity = Identity(MEMBERSHIP, credentials("n1", Role.MANAGER))
    files.save(identity)
    assert files.load() == identity
    assert identity.role is Role.MANAGER
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "node").iterdir()} == {0o600}
    assert (tmp_path / "node").stat().st_mode & 0o777 == 0o700


def test_a_renewed_certificate_replaces_the_old(tmp_path: Path) -> None:
    files = IdentityFiles(tmp_path / "node")
    old = credentials("n1")
    files.save(Identity(MEMBERSHIP, old))
    files.save(Identity(MEMBERSHIP, Credentials(credentials("n1").certificate, old.key, old.ca)))
    loaded = files.load()
    assert loaded is not None
    assert loaded.credentials.certificate != old.certificate
    assert loaded.credentials.key == old.key


def test_a_host_that_left_is_nobody(tmp_path: Path) -> None:
    files = IdentityFiles(tmp_path / "node")
    files.save(Identity(MEMBERSHIP, credentials("n1")))
    files.clear()
    assert files.load() is None
    assert not (tmp_path / "node").exists()


def test_an_identity_half_written_is_none(tmp_path: Path) -> None:
    files = IdentityFiles(tmp_path / "node")
    files.save(Identity(MEMBERSHIP, credentials("n1")))
    files.certificate.unlink()
    assert files.load() is None
