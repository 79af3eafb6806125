"""How the kernel combines `conf/all` with a device's settings, and which results are wrong for a bridge."""

from __future__ import annotations

import pytest

from overlay.plan import sysctls


@pytest.mark.parametrize(
    ("name", "everywhere", "device", "forwards", "value"),
    [
        ("send_redirects", 1, 0, False, 1),
        ("send_redirects", 0, 0, False, 0),
        ("accept_redirects", 1, 0, True, 0),
        ("accept_redirects", 1, 0, False, 1),
        ("accept_redirects", 1, 1, True, 1),
        ("accept_source_route", 1, 0, True, 0),
        ("accept_source_route", 1, 1, True, 1),
        ("rp_filter", 1, 2, True, 2),
        ("rp_filter", 2, 0, True, 2),
        ("arp_ignore", 8, 0, True, 8),
        ("route_localnet", 0, 1, True, 1),
        ("forwarding", 1, 0, True, 0),
    ],
)
def test_all_and_the_device_become_one(name: str, everywhere: int, device: int, forwards: bool, value: int) -> None:
    assert sysctls.effective(name, everywhere, device, forwards) == value


def test_each_setting_that_is_written_has_its_rule() -> None:
    assert {*sysctls.BRIDGE, *sysctls.SANDBOX} <= set(sysctls.RULES)


def test_what_the_hosts_owner_decided_for_all_is_told_where_it_matters() -> None:
    assert sysctls.overrides({}) == []
    assert sysctls.overrides({"accept_redirects": 1, "accept_source_route": 1, "rp_filter": 1, "log_martians": 1}) == []
    found = sysctls.overrides({"arp_ignore": 1, "proxy_arp": 1})
    assert [str(one) for one in found] == [
        "net.ipv4.conf.all.arp_ignore makes arp_ignore 1 where 0 is needed",
        "net.ipv4.conf.all.proxy_arp makes proxy_arp 1 where 0 is needed",
    ]


def test_redirects_of_all_are_no_matter_since_none_leaves_a_bridge() -> None:
    """nft_rules.py drops redirects; 1 is the kernel's default."""
    assert sysctls.overrides({"send_redirects": 1}) == []


def test_a_sandbox_is_set_for_every_device_that_comes() -> None:
    written = sysctls.for_sandbox()
    for place in ("all", "default"):
        assert written[f"ipv4/conf/{place}/accept_redirects"] == "0"
        assert written[f"ipv4/conf/{place}/accept_source_route"] == "0"
