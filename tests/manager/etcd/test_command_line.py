"""etcd's command line and versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.errors import Invalid
from manager.etcd.command_line import EtcdSettings, check_version, command, parse_version

SETTINGS = EtcdSettings("node1", Path("/var/lib/argosy/etcd"), "10.0.0.1")


def test_a_new_cluster_begins_with_ourselves() -> None:
    arguments = command(SETTINGS, (3, 4, 23), "")

    assert "--initial-cluster=node1=https://10.0.0.1:2380" in arguments
    assert "--initial-cluster-state=new" in arguments


def test_a_joining_member_names_the_others_and_itself() -> None:
    arguments = command(SETTINGS, (3, 4, 23), "m0=https://10.0.0.9:2380")

    assert "--initial-cluster=m0=https://10.0.0.9:2380,node1=https://10.0.0.1:2380" in arguments
    assert "--initial-cluster-state=existing" in arguments


def test_ports_addresses_and_ipv6_are_taken_from_the_settings() -> None:
    settings = EtcdSettings("n", Path("/d"), "fd00::1", listen_address="::", client_port=1, peer_port=2)

    arguments = command(settings, (3, 4, 23), None)

    assert "--listen-client-urls=https://[::]:1" in arguments
    assert "--advertise-client-urls=https://[fd00::1]:1" in arguments
    assert "--listen-peer-urls=https://[::]:2" in arguments
    assert settings.peer_url == "https://[fd00::1]:2"


@pytest.mark.parametrize(
    ("version", "option"),
    [((3, 4, 23), "--experimental-peer-skip-client-san-verification=true"),
     ((3, 6, 1), "--peer-skip-client-san-verification=true")],
)  # fmt: skip
def test_a_renamed_option_follows_the_version(version: tuple[int, int, int], option: str) -> None:
    assert option in command(SETTINGS, version, None)


def test_the_version_is_read_from_what_etcd_says() -> None:
    assert parse_version("etcd Version: 3.4.23\nGit SHA: x\nGo Version: go1.19.8\n") == (3, 4, 23)
    with pytest.raises(Invalid, match="no version of etcd: 'busybox'"):
        parse_version("busybox")


@pytest.mark.parametrize("patch", [0, 1, 2])
def test_versions_that_can_lose_data_are_refused_in_a_sentence(patch: int) -> None:
    with pytest.raises(Invalid, match=rf"etcd 3\.5\.{patch} can lose data in a crash: install 3\.4, or 3\.5\.3"):
        check_version((3, 5, patch))


@pytest.mark.parametrize("version", [(3, 4, 23), (3, 5, 3), (3, 5, 21), (3, 6, 0)])
def test_sound_versions_are_taken(version: tuple[int, int, int]) -> None:
    check_version(version)


def test_versions_without_learners_are_refused() -> None:
    with pytest.raises(Invalid, match="too old"):
        check_version((3, 3, 25))
