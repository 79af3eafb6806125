"""Three hosts on a switch, and a client beside them that is no host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.overlay.hosts import CLIENT, NAMES, PREFIX, Cluster, TestHost, end_all_in, sh

ADDRESSES = {"h1": "172.30.77.1", "h2": "172.30.77.2", "h3": "172.30.77.3"}


def _lay_wires() -> None:
    switch = f"{PREFIX}-sw"
    sh("ip", "netns", "add", switch)
    sh("ip", "-n", switch, "link", "add", "br0", "type", "bridge")
    sh("ip", "-n", switch, "link", "set", "br0", "up")
    for name, address in [*ADDRESSES.items(), ("client", CLIENT)]:
        netns = f"{PREFIX}-{name}"
        sh("ip", "netns", "add", netns)
        sh("ip", "-n", switch, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", netns)
        sh("ip", "-n", switch, "link", "set", name, "master", "br0", "up")
        sh("ip", "-n", netns, "link", "set", "lo", "up")
        sh("ip", "-n", netns, "link", "set", "eth0", "up")
        sh("ip", "-n", netns, "address", "add", f"{address}/24", "dev", "eth0")


def _cut_wires() -> None:
    for netns in Path("/run/netns").glob(f"{NAMES}*"):
        # of a run that was killed, and may have left its stand-ins
        if not Path("/proc", netns.name.removeprefix(NAMES).partition("-")[0]).exists():
            end_all_in(netns.name)
            sh("ip", "netns", "delete", netns.name, check=False)
    for name in ["sw", "client", *ADDRESSES]:
        sh("ip", "netns", "delete", f"{PREFIX}-{name}", check=False)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    _cut_wires()
    hosts = []
    try:
        _lay_wires()
        for name, address in ADDRESSES.items():
            root: Path = tmp_path_factory.mktemp(name)
            (root / "resolv.conf").write_text(f"nameserver {CLIENT}\n")
            hosts.append(TestHost(name, address, root))
        for host in hosts:
            host.start()
        yield Cluster(hosts)
    finally:
        for host in hosts:
            host.end()
            for path in (host.root / "netns").glob("*"):
                sh("umount", "-l", str(path), check=False)
        _cut_wires()
