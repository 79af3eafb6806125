"""For attacks with packets of one's own making: hosts and their containers (tests/overlay), frames, who hears them."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from overlay.interface import NetworkView
from overlay.plan import link_names
from tests.overlay.hosts import PREFIX, Cluster, TestHost, sh
from tests.overlay.test_hosts import Task, network, service, start

CLIENT_NETNS = f"/run/netns/{PREFIX}-client"
APP, SECRET, INGRESS = "app", "secret", "ingress"
APP_VNI, SECRET_VNI, INGRESS_VNI = 4301, 4303, 4304
VIP = "10.77.1.130"
VXLAN_PORT = 4789
BROADCAST = "ff:ff:ff:ff:ff:ff"
IPV4, ARP, IPV6, DOT1Q, DOT1AD, LLDP = 0x0800, 0x0806, 0x86DD, 0x8100, 0x88A8, 0x88CC
TOKEN = b"ARGOSY-ATTACK"
BARRIER = b"ARGOSY-BARRIER"

# Sends frames, given in hexadecimal, out of a device.
SENDER = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
for frame in sys.argv[2:]:
    s.send(bytes.fromhex(frame))
"""

# Sends datagrams, given in hexadecimal, to an address and port.
TELLER = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for data in sys.argv[3:]:
    try:
        s.sendto(bytes.fromhex(data), (sys.argv[1], int(sys.argv[2])))
    except OSError as error:
        print(error)
"""

# Hears what comes in at a device until the barrier does; prints the frames with the token that came before it.
HEARER = """
import json, socket, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind((sys.argv[1], 0))
s.settimeout(15)
print("up", flush=True)
found, deadline = [], time.monotonic() + 15
while time.monotonic() < deadline:
    frame, where = s.recvfrom(4096)
    if where[2] == 4:
        continue
    if b"ARGOSY-BARRIER" in frame:
        print(json.dumps(found), flush=True)
        break
    if b"ARGOSY-ATTACK" in frame:
        found.append(frame.hex())
"""


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def ethernet(destination: str, source: str, kind: int, payload: bytes, tags: tuple[int, ...] = ()) -> bytes:
    """A frame; `tags` are the types of tags of VLAN 0, outermost first."""
    marks = b"".join(struct.pack("!HH", tag, 0) for tag in tags)
    return mac_bytes(destination) + mac_bytes(source) + marks + struct.pack("!H", kind) + payload


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(source: str, destination: str, protocol: int, payload: bytes, options: bytes = b"") -> bytes:
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH", 0x40 | words, 0, words * 4 + len(payload), 1, 0, 64, protocol, 0)
    head += socket.inet_aton(source) + socket.inet_aton(destination) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def fragments(packet: bytes) -> tuple[bytes, bytes]:
    """A packet in two: of the first 8 bytes of what it carries, and of the rest."""
    head, data = packet[:20], packet[20:]
    found = []
    for part, offset in ((data[:8], 0x2000), (data[8:], 1)):
        own = head[:2] + struct.pack("!HHH", 20 + len(part), 7, offset) + head[8:10] + bytes(2) + head[12:]
        found.append(own[:10] + struct.pack("!H", checksum(own)) + own[12:] + part)
    return found[0], found[1]


def udp(data: bytes, port: int = 9, source_port: int = 40000) -> bytes:
    return struct.pack("!HHHH", source_port, port, len(data) + 8, 0) + data


def arp(operation: int, mac: str, address: str, target_mac: str, target: str) -> bytes:
    body = struct.pack("!HHBBH", 1, IPV4, 6, 4, operation) + mac_bytes(mac) + socket.inet_aton(address)
    # the token stands in the padding
    return body + mac_bytes(target_mac) + socket.inet_aton(target) + TOKEN


def vxlan(vni: int, frame: bytes) -> bytes:
    return struct.pack("!II", 0x08000000, vni << 8) + frame


@dataclass
class Ear:
    """Hears what reaches a container (or a host) at a device. Made before the attack; asked after its barrier."""

    process: subprocess.Popen[str]

    @classmethod
    def at(cls, netns: str, device: str = "eth0") -> Ear:
        command = ["nsenter", f"--net={netns}", sys.executable, "-c", HEARER, device]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        return cls(process)

    def heard(self) -> list[bytes]:
        """Frames of the attack that came before the barrier."""
        out, _ = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, "the barrier did not come: the way itself is broken"
        return [bytes.fromhex(frame) for frame in json.loads(out)]


def send(netns: str, *frames: bytes, device: str = "eth0") -> None:
    sh("nsenter", f"--net={netns}", sys.executable, "-c", SENDER, device, *(frame.hex() for frame in frames))


def tell(netns: str, address: str, port: int, *data: bytes) -> None:
    """Send datagrams as any program can."""
    sh("nsenter", f"--net={netns}", sys.executable, "-c", TELLER, address, str(port), *(one.hex() for one in data))


def neighbours(task: Task, device: str = "eth0") -> dict[str, str]:
    """What a container believes: MAC address by IP address."""
    found = {}
    for line in sh("nsenter", f"--net={task.netns}", "ip", "neigh", "show", "dev", device).splitlines():
        parts = line.split()
        if "lladdr" in parts:
            found[parts[0]] = parts[parts.index("lladdr") + 1]
    return found


@dataclass
class Site:
    """A cluster with a rogue container among others."""

    cluster: Cluster
    rogue: Task
    """On the first host, on app and ingress."""
    near: Task
    """On the same host and networks."""
    other: Task
    """On the same host, on app."""
    far: Task
    """On the second host, on app and ingress."""
    secret: Task
    """On the second host, on an internal network that the rogue and the third host are not on."""
    keeper: Task
    """On the first host, on that internal network."""

    @contextmanager
    def unheard(self, at: Task) -> Iterator[None]:
        """Nothing of what is sent meanwhile reaches this container, and an honest packet after it does."""
        ear = Ear.at(at.netns)
        yield
        if at is self.secret:
            self.barrier(self.keeper, at, SECRET)
        else:
            self.barrier(self.far, at)
        assert ear.heard() == []

    def barrier(self, frm: Task, to: Task, network: str = APP, device: str = "eth0") -> None:
        """An honest packet along the way that the attack tried."""
        source, target = frm.addresses[network], to.addresses[network]
        packet = ipv4(source, target, 17, udp(BARRIER))
        send(frm.netns, ethernet(link_names.mac(target), link_names.mac(source), IPV4, packet), device=device)

    def frame(self, source: str, to: Task, *, mac: str = "", network: str = APP, tags: tuple[int, ...] = ()) -> bytes:
        """A datagram to a container under any address."""
        target = to.addresses[network]
        packet = ipv4(source, target, 17, udp(TOKEN))
        return ethernet(
            link_names.mac(target), mac or link_names.mac(self.rogue.addresses[network]), IPV4, packet, tags
        )

    def smuggled(self, to: Task, source: str = "10.77.3.1") -> bytes:
        """What a VXLAN packet into the internal network looks like."""
        target = to.addresses[SECRET]
        inner = ethernet(link_names.mac(target), link_names.mac(source), IPV4, ipv4(source, target, 17, udp(TOKEN)))
        return vxlan(SECRET_VNI, inner)


class Members(Cluster):
    """Of whose hosts the third has no part in the internal network."""

    def view(self, host: TestHost) -> NetworkView:
        view = super().view(host)
        absent = f"h3.{SECRET}"
        networks = {id: one for id, one in view.networks.items() if host.name != "h3" or id != SECRET}
        return NetworkView(
            networks, view.services, view.endpoints, {id: one for id, one in view.peers.items() if id != absent}
        )


@pytest.fixture(scope="module")
def site(cluster: Cluster) -> Iterator[Site]:
    """The hosts with their containers; tests share them, so none leaves anything behind."""
    members = Members(cluster.hosts)
    h1, h2, _ = members.hosts
    members.networks = {
        APP: network(APP, 1, APP_VNI),
        SECRET: network(SECRET, 3, SECRET_VNI, internal=True),
        INGRESS: network(INGRESS, 4, INGRESS_VNI, ingress=True),
    }
    members.services["web.app"] = service("web", APP, VIP)
    members.tell()
    made = Site(
        members,
        rogue=start(members, "rogue.1", h1, {APP: "10.77.1.11", INGRESS: "10.77.4.11"}),
        near=start(members, "web.1", h1, {APP: "10.77.1.12", INGRESS: "10.77.4.12"}),
        other=start(members, "other.1", h1, {APP: "10.77.1.13"}),
        far=start(members, "web.2", h2, {APP: "10.77.1.14", INGRESS: "10.77.4.14"}),
        secret=start(members, "secret.1", h2, {SECRET: "10.77.3.11"}),
        keeper=start(members, "keeper.1", h1, {SECRET: "10.77.3.12"}),
    )
    members.tell()
    yield made
    for host in members.hosts:
        host.do("remove_all")
