"""`argosy check` on a machine where nothing is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy import host_check

PACKAGES = Path(host_check.__file__).with_name("packages.txt")


def remedies() -> dict[str, str]:
    return {finding.name: finding.remedy for finding in host_check.check_host()}


@pytest.fixture
def _nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("_nothing_installed")
def test_every_missing_program_is_named_with_a_package_that_setup_installs() -> None:
    installed = {row.split()[0] for row in PACKAGES.read_text().splitlines() if row and not row.startswith("#")}

    found = remedies()

    programs = ("conmon", "skopeo", "nft", "ip", "tini", "ps", "etcd", "OCI runtime")
    assert {found[name].removeprefix("apt-get install ") for name in programs} <= installed


@pytest.mark.usefixtures("_nothing_installed")
def test_a_missing_tool_is_not_reported_as_a_missing_kernel_feature() -> None:
    found = {finding.name: finding for finding in host_check.check_host()}

    assert found["vxlan"].found == "cannot be tried without ip"
    assert found["vxlan"].remedy == "apt-get install iproute2"
    assert found["nftables NAT"].remedy == "apt-get install nftables"
