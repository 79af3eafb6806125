"""A host of the cluster, with a worker's certificate, that has gone to the bad."""

from __future__ import annotations

from dataclasses import replace

import pytest

from overlay.plan import link_names
from tests.attacks.packets_tools import (
    APP,
    APP_VNI,
    ARP,
    BROADCAST,
    IPV4,
    IPV6,
    TOKEN,
    VXLAN_PORT,
    Ear,
    Site,
    arp,
    ethernet,
    ipv4,
    neighbours,
    tell,
    udp,
    vxlan,
)  # fmt: skip
from tests.overlay.hosts import sh

# ── into the containers' networks ────────────────────────────────────────────────────────────────────────────────────

pytestmark = pytest.mark.root


def test_it_sends_nothing_into_a_network_it_has_no_part_in(site: Site) -> None:
    _, h2, h3 = site.cluster.hosts
    with site.unheard(site.secret):
        tell(f"/run/netns/{h3.netns}", h2.address, VXLAN_PORT, site.smuggled(site.secret))


def test_it_is_heard_for_as_long_as_it_takes_part(site: Site) -> None:
    """An honest packet, before, after and again while the managers count it among the network's hosts."""
    h1, _, h3 = site.cluster.hosts
    view = site.cluster.view(h1)
    without = replace(view, peers={id: one for id, one in view.peers.items() if id != f"h3.{APP}"})
    near = site.near.addresses[APP]
    packet = ipv4("10.77.1.3", near, 17, udp(TOKEN))
    honest = vxlan(APP_VNI, ethernet(link_names.mac(near), link_names.mac("10.77.1.3"), IPV4, packet))
    for given, times in ((view, 1), (without, 0), (view, 1)):
        h1.update(given)
        ear = Ear.at(site.near.netns)
        tell(f"/run/netns/{h3.netns}", h1.address, VXLAN_PORT, honest)
        site.barrier(site.far, site.near)
        assert len(ear.heard()) == times


def test_it_poisons_no_arp_cache_on_other_hosts(site: Site) -> None:
    """It has a part in this network; but hosts tell each other who is where through managers, never by ARP."""
    h1, _, h3 = site.cluster.hosts
    other, near = site.other.addresses[APP], site.near.addresses[APP]
    sh("nsenter", f"--net={site.near.netns}", "ping", "-c1", "-W2", other)
    own = link_names.mac("10.77.1.3")
    lies = [
        ethernet(to, own, ARP, arp(kind, own, other, to, near))
        for kind in (1, 2)
        for to in (BROADCAST, link_names.mac(near))
    ]
    lies.append(ethernet(BROADCAST, own, IPV6, TOKEN.ljust(60, b"\0")))
    with site.unheard(site.near):
        tell(f"/run/netns/{h3.netns}", h1.address, VXLAN_PORT, *(vxlan(APP_VNI, lie) for lie in lies))
    assert neighbours(site.near)[other] == link_names.mac(other)


def test_its_packets_come_from_addresses_of_the_network_only(site: Site) -> None:
    h1, _, h3 = site.cluster.hosts
    near, own = site.near.addresses[APP], link_names.mac("10.77.1.3")
    foreign = [ipv4(source, near, 17, udp(TOKEN)) for source in ("10.77.3.11", h1.address, "127.0.0.1", "192.0.2.7")]
    with site.unheard(site.near):
        frames = [ethernet(link_names.mac(near), own, IPV4, packet) for packet in foreign]
        tagged = ethernet(link_names.mac(near), own, IPV4, foreign[0], (0x8100,))
        tell(f"/run/netns/{h3.netns}", h1.address, VXLAN_PORT, *(vxlan(APP_VNI, frame) for frame in (*frames, tagged)))
