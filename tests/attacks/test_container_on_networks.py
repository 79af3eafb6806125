"""A container, and the root user in it, against its networks: packets of its own making."""

from __future__ import annotations

import socket
import struct

import pytest

from overlay.plan import link_names
from tests.attacks.packets_tools import (
    APP,
    ARP,
    BROADCAST,
    DOT1AD,
    DOT1Q,
    INGRESS,
    IPV4,
    IPV6,
    LLDP,
    SECRET,
    TOKEN,
    VIP,
    VXLAN_PORT,
    Ear,
    Site,
    arp,
    checksum,
    ethernet,
    fragments,
    ipv4,
    neighbours,
    send,
    tell,
    udp,
)  # fmt: skip
from tests.overlay.hosts import CLIENT, sh
from tests.overlay.test_hosts import Task

pytestmark = pytest.mark.root


def heard(site: Site, to: Task, *frames: bytes, network: str = APP) -> list[bytes]:
    """What of these frames of the rogue's reaches another container."""
    device = "eth0" if network == APP else "eth1"
    ear = Ear.at(to.netns, device)
    send(site.rogue.netns, *frames, device=device)
    site.barrier(site.rogue, to, network, device)
    return ear.heard()


def test_the_rogue_is_heard_under_its_own_address(site: Site) -> None:
    """What the following attacks differ from."""
    honest = site.frame(site.rogue.addresses[APP], site.near)
    assert len(heard(site, site.near, honest)) == 1


def test_it_does_not_send_under_a_neighbour_s_address(site: Site) -> None:
    other = site.other.addresses[APP]
    lies = [site.frame(other, site.near), site.frame(other, site.near, mac=link_names.mac(other))]
    assert heard(site, site.near, *lies) == []
    lies = [site.frame(other, site.far), site.frame(other, site.far, mac=link_names.mac(other))]
    assert heard(site, site.far, *lies) == []


def test_it_does_not_send_as_the_host_or_another_one(site: Site) -> None:
    for gateway in ("10.77.1.1", "10.77.1.2"):
        assert heard(site, site.near, site.frame(gateway, site.near, mac=link_names.mac(gateway))) == []


def test_on_ingress_it_does_not_send_as_a_client_that_came_in_through_another_host(site: Site) -> None:
    door = link_names.mac("10.77.4.2")
    for victim in (site.near, site.far):
        lie = site.frame(CLIENT, victim, mac=door, network=INGRESS)
        assert heard(site, victim, lie, network=INGRESS) == []


@pytest.mark.parametrize(
    "tags",
    [(DOT1Q,), (DOT1AD,), (DOT1Q, DOT1Q), (DOT1AD, DOT1Q), (DOT1Q,) * 3],
    ids=lambda tags: "+".join(map(hex, tags)),
)
def test_vlan_tags_get_nothing_past_the_guard(site: Site, tags: tuple[int, ...]) -> None:
    lie = site.frame(site.other.addresses[APP], site.near, tags=tags)
    honest = site.frame(site.rogue.addresses[APP], site.near, tags=tags)
    on_ingress = site.frame(CLIENT, site.near, network=INGRESS, tags=tags)
    assert heard(site, site.near, lie, honest) == []
    assert heard(site, site.near, on_ingress, network=INGRESS) == []


def test_what_is_neither_ipv4_nor_arp_reaches_nobody(site: Site) -> None:
    mac = link_names.mac(site.rogue.addresses[APP])
    kinds = (IPV6, LLDP, 0x88E1, 0x8863, 0x8847, 0x0801)
    frames = [ethernet(BROADCAST, mac, kind, TOKEN.ljust(60, b"\0")) for kind in kinds]
    # router advertisement to all nodes: what would give containers a router where no network has IPv6
    advertisement = struct.pack("!IHBB", 0x6 << 28, 16, 58, 255) + bytes.fromhex("fe80" + "00" * 13 + "66")
    advertisement += (
        bytes.fromhex("ff02" + "00" * 13 + "01") + bytes.fromhex("86000000400007080000000000000000") + TOKEN
    )
    frames.append(ethernet("33:33:00:00:00:01", mac, IPV6, advertisement))
    assert heard(site, site.near, *frames) == []


def test_arp_poisons_no_neighbour(site: Site) -> None:
    rogue, other, near = (link_names.mac(t.addresses[APP]) for t in (site.rogue, site.other, site.near))
    address, victim = site.other.addresses[APP], site.near.addresses[APP]
    sh("nsenter", f"--net={site.near.netns}", "ping", "-c1", "-W2", address)
    for operation in (1, 2):
        for sender, frame_source in ((rogue, rogue), (rogue, other), (other, rogue)):
            lie = ethernet(near, frame_source, ARP, arp(operation, sender, address, near, victim))
            assert heard(site, site.near, lie) == [], (operation, sender, frame_source)
    assert neighbours(site.near)[address] == other
    assert len(heard(site, site.near, ethernet(near, rogue, ARP, arp(1, rogue, "10.77.1.11", near, victim)))) == 1


@pytest.mark.parametrize("claimed", ["10.77.1.1", VIP, "10.77.1.14", "10.77.1.99"])
def test_a_gratuitous_arp_claims_no_gateway_vip_or_other_address(site: Site, claimed: str) -> None:
    rogue = link_names.mac(site.rogue.addresses[APP])
    # the victim knows the gateway and would take a new address for it
    sh("nsenter", f"--net={site.near.netns}", "ping", "-c1", "-W2", "10.77.1.1")
    lies = [ethernet(BROADCAST, rogue, ARP, arp(kind, rogue, claimed, BROADCAST, claimed)) for kind in (1, 2)]
    assert heard(site, site.near, *lies) == []
    assert neighbours(site.near)["10.77.1.1"] == link_names.mac("10.77.1.1")


def test_a_stolen_mac_address_draws_no_packets(site: Site) -> None:
    h1 = site.cluster.hosts[0]
    stolen = link_names.mac(site.other.addresses[APP])
    frames = [
        site.frame(site.rogue.addresses[APP], site.near, mac=stolen),
        # the bridge keeps these to itself, but learns from them where it learns at all
        *(ethernet(f"01:80:c2:00:00:{last}", stolen, LLDP, TOKEN) for last in ("00", "03", "0e")),
    ]
    assert heard(site, site.near, *frames) == []
    places = [
        line for line in h1.inside("bridge", "fdb").splitlines() if line.startswith(stolen) and "self" not in line
    ]
    assert len(places) == 1, places
    assert link_names.veth(site.other.id, 0) in places[0]


def test_no_flood_of_addresses_fills_the_bridge_s_table(site: Site) -> None:
    h1 = site.cluster.hosts[0]
    before = len(h1.inside("bridge", "fdb").splitlines())
    made_up = [f"02:66:00:00:{n >> 8:02x}:{n & 255:02x}" for n in range(300)]
    send(site.rogue.netns, *(ethernet("01:80:c2:00:00:0e", mac, LLDP, TOKEN) for mac in made_up))
    send(site.rogue.netns, *(site.frame(site.rogue.addresses[APP], site.near, mac=mac) for mac in made_up))
    assert len(h1.inside("bridge", "fdb").splitlines()) == before


def test_it_makes_no_vxlan_packets_into_a_network_it_is_not_on(site: Site) -> None:
    """Neither through its own host's addresses, nor through another host, for whom they would come from a host."""
    h1, h2, _ = site.cluster.hosts
    for victim, addresses in ((site.keeper, (h1.address, "10.77.1.1", "10.77.4.1")), (site.secret, (h2.address,))):
        peer = site.secret if victim is site.keeper else site.keeper
        for address in addresses:
            ear = Ear.at(victim.netns)
            tell(site.rogue.netns, address, VXLAN_PORT, site.smuggled(victim))
            site.barrier(peer, victim, SECRET)
            assert ear.heard() == [], (victim.name, address)


def test_nor_does_it_in_fragments(site: Site) -> None:
    h1, h2, _ = site.cluster.hosts
    own, gateway = site.rogue.addresses[INGRESS], "10.77.4.1"
    for victim, peer, address in ((site.keeper, site.secret, h1.address), (site.secret, site.keeper, h2.address)):
        whole = ipv4(own, address, 17, udp(site.smuggled(victim), VXLAN_PORT))
        frames = [ethernet(link_names.mac(gateway), link_names.mac(own), IPV4, part) for part in fragments(whole)]
        ear = Ear.at(victim.netns)
        send(site.rogue.netns, *frames, device="eth1")
        site.barrier(peer, victim, SECRET)
        assert ear.heard() == [], victim.name


def test_containers_may_use_that_port_among_themselves(site: Site) -> None:
    """It is the hosts' addresses that are closed to them, not the number."""
    for to in (site.near, site.far):
        packet = ipv4(site.rogue.addresses[APP], to.addresses[APP], 17, udp(TOKEN, VXLAN_PORT))
        frame = ethernet(link_names.mac(to.addresses[APP]), link_names.mac(site.rogue.addresses[APP]), IPV4, packet)
        assert len(heard(site, to, frame)) == 1, to.name


def test_an_icmp_redirect_leads_no_container_astray(site: Site) -> None:
    """Neither a forged one, nor one under its own address, nor the kernel believing it."""
    rogue, near = site.rogue.addresses[INGRESS], site.near.addresses[INGRESS]
    # of an echo reply: that is believed without a socket that it belongs to
    inner = ipv4(near, CLIENT, 1, bytes(8))
    for gateway in ("10.77.4.1", rogue):
        body = struct.pack("!BBH", 5, 1, 0) + socket.inet_aton(rogue) + inner
        body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
        lie = ipv4(gateway, near, 1, body)
        for mac in (rogue, gateway):
            send(site.rogue.netns, ethernet(link_names.mac(near), link_names.mac(mac), IPV4, lie), device="eth1")
    ear = Ear.at(site.near.netns, "eth1")
    site.barrier(site.rogue, site.near, INGRESS, "eth1")
    ear.heard()
    assert f"via {rogue}" not in sh("nsenter", f"--net={site.near.netns}", "ip", "route", "get", CLIENT)
    # and one that the host itself would send, or a stranger that came to be the gateway, is not believed either
    for place in ("all", "eth0", "eth1"):
        path = f"/proc/sys/net/ipv4/conf/{place}/accept_redirects"
        assert sh("nsenter", f"--net={site.near.netns}", "cat", path) == "0\n", place


def test_a_source_route_is_not_followed(site: Site) -> None:
    """Also where the owner of the host lets the host itself follow them."""
    h1 = site.cluster.hosts[0]
    h1.inside("sysctl", "-qw", "net.ipv4.conf.all.accept_source_route=1")
    gateway, rogue, near = "10.77.1.1", site.rogue.addresses[APP], site.near.addresses[APP]
    route = bytes((131, 7, 4)) + socket.inet_aton(near) + b"\0"
    packet = ipv4(rogue, gateway, 17, udp(TOKEN), route)
    try:
        assert heard(site, site.near, ethernet(link_names.mac(gateway), link_names.mac(rogue), IPV4, packet)) == []
    finally:
        h1.inside("sysctl", "-qw", "net.ipv4.conf.all.accept_source_route=0")


def test_it_is_held_to_its_addresses_when_its_agent_has_been_killed_and_started(site: Site) -> None:
    h1 = site.cluster.hosts[0]
    lie = site.frame(site.other.addresses[APP], site.near)
    h1.kill()
    assert heard(site, site.near, lie) == []
    h1.inside("nft", "delete", "table", "bridge", "argosy", check=False)
    h1.start()
    assert heard(site, site.near, lie) == []
    h1.update(site.cluster.view(h1))
    assert heard(site, site.near, lie) == []
