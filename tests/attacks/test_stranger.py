"""A machine that is on the hosts' network and in no cluster."""

from __future__ import annotations

import pytest

from overlay.plan import link_names
from tests.attacks.packets_tools import (
    APP,
    APP_VNI,
    ARP,
    BROADCAST,
    CLIENT_NETNS,
    IPV4,
    TOKEN,
    VXLAN_PORT,
    Site,
    arp,
    ethernet,
    fragments,
    ipv4,
    send,
    tell,
    udp,
    vxlan,
)  # fmt: skip
from tests.overlay.hosts import CLIENT, sh

# ── into the containers' networks ────────────────────────────────────────────────────────────────────────────────────

pytestmark = pytest.mark.root


def test_its_vxlan_packets_reach_no_container(site: Site) -> None:
    h1, h2, _ = site.cluster.hosts
    near, rogue = site.near.addresses[APP], site.rogue.addresses[APP]
    lie = vxlan(APP_VNI, ethernet(link_names.mac(near), link_names.mac(rogue), IPV4, ipv4(rogue, near, 17, udp(TOKEN))))
    poison = vxlan(
        APP_VNI,
        ethernet(BROADCAST, link_names.mac(CLIENT), ARP, arp(2, link_names.mac(CLIENT), rogue, BROADCAST, near)),
    )
    with site.unheard(site.near):
        tell(CLIENT_NETNS, h1.address, VXLAN_PORT, lie, poison)

    with site.unheard(site.secret):
        tell(CLIENT_NETNS, h2.address, VXLAN_PORT, site.smuggled(site.secret))


def test_its_vxlan_packets_reach_no_container_in_fragments(site: Site) -> None:
    h2 = site.cluster.hosts[1]
    mac = sh("ip", "-n", h2.netns, "-o", "link", "show", "eth0").split("link/ether ")[1].split()[0]
    whole = ipv4(CLIENT, h2.address, 17, udp(site.smuggled(site.secret), VXLAN_PORT))
    with site.unheard(site.secret):
        send(CLIENT_NETNS, *(ethernet(mac, "02:00:00:00:00:66", IPV4, part) for part in fragments(whole)))


def test_its_vxlan_packets_are_not_relayed_by_a_host_to_another(site: Site) -> None:
    """Also where the owner of the host has everything masqueraded that it forwards."""
    h1, h2, _ = site.cluster.hosts
    h1.inside("nft", "add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; "
              "add rule ip nat post oifname eth0 masquerade")  # fmt: skip
    sh("nsenter", f"--net={CLIENT_NETNS}", "ip", "route", "add", f"{h2.address}/32", "via", h1.address)
    try:
        with site.unheard(site.secret):
            tell(CLIENT_NETNS, h2.address, VXLAN_PORT, site.smuggled(site.secret))
    finally:
        sh("nsenter", f"--net={CLIENT_NETNS}", "ip", "route", "del", f"{h2.address}/32")
        h1.inside("nft", "delete", "table", "ip", "nat")


def test_it_reaches_no_container_through_a_host_as_its_router(site: Site) -> None:
    h1 = site.cluster.hosts[0]
    near = site.near.addresses[APP]
    mac = sh("ip", "-n", h1.netns, "-o", "link", "show", "eth0").split("link/ether ")[1].split()[0]
    with site.unheard(site.near):
        for source in (CLIENT, site.rogue.addresses[APP], h1.address, "127.0.0.1"):
            send(CLIENT_NETNS, ethernet(mac, "02:00:00:00:00:66", IPV4, ipv4(source, near, 17, udp(TOKEN))))
