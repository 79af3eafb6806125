"""One real etcd for all tests of the store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts.etcd_process import EtcdProcess


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdProcess]:
    """Started once; a test that kills it must start it again."""
    process = EtcdProcess(tmp_path_factory.mktemp("etcd"))
    process.start()
    yield process
    process.kill()
