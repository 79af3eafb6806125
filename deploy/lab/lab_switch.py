"""The lab's switch: a bridge in a network namespace of its own, with a link to each host and one to the machine."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable
from pathlib import Path

from api.errors import Unavailable
from deploy.lab.lab_record import HostRecord, LabRecord, Paths
from deploy.lab.shell import run, try_run

_BRIDGE = "switch"
_NAMESPACES = Path("/run/netns")
_SUBNETS = ipaddress.ip_network("172.30.0.0/16")


def free_subnet(taken: set[str]) -> str:
    """Three octets of a /24 that no link or route of the machine and no other lab uses."""
    rows = json.loads(run("ip", "-j", "-4", "route", "show", "table", "all"))
    routes = [ipaddress.ip_network(row["dst"], strict=False) for row in rows if row.get("dst", "default") != "default"]
    for subnet in _SUBNETS.subnets(new_prefix=24):
        octets = str(subnet.network_address).rpartition(".")[0]
        if octets not in taken and not any(subnet.overlaps(route) for route in routes):
            return octets
    raise Unavailable(f"every /24 of {_SUBNETS} is in use on this machine; no room for a lab")


def make_switch(paths: Paths, record: LabRecord) -> None:
    """The namespace, its bridge, and the machine's own link."""
    run("ip", "netns", "add", paths.switch)
    run("ip", "-n", paths.switch, "link", "add", _BRIDGE, "type", "bridge", "forward_delay", "0")
    run("ip", "-n", paths.switch, "link", "set", _BRIDGE, "up")
    # A bridge in front of br_netfilter would ask the switch's own (empty) firewall about every frame.
    run("ip", "link", "add", paths.machine_link, "type", "veth", "peer", "name", "machine", "netns", paths.switch)
    run("ip", "-n", paths.switch, "link", "set", "machine", "master", _BRIDGE, "up")
    run("ip", "addr", "add", f"{record.machine_address}/24", "dev", paths.machine_link)
    run("ip", "link", "set", paths.machine_link, "up")


def plug_in(paths: Paths, record: LabRecord, host: HostRecord) -> None:
    """A fresh network namespace for the host, with eth0 on the switch."""
    netns = paths.netns(host.name)
    unplug(paths, host.name)
    run("ip", "netns", "add", netns)
    run("ip", "-n", paths.switch, "link", "add", host.name, "type", "veth", "peer", "name", "eth0", "netns", netns)
    run("ip", "-n", paths.switch, "link", "set", host.name, "master", _BRIDGE, "up")
    run("ip", "-n", netns, "link", "set", "lo", "up")
    run("ip", "-n", netns, "addr", "add", f"{host.address}/24", "dev", "eth0")
    run("ip", "-n", netns, "link", "set", "eth0", "up")
    run("ip", "-n", netns, "route", "add", "default", "via", record.machine_address)


def unplug(paths: Paths, host: str) -> None:
    """Remove the host's link and namespace, if they are there."""
    try_run("ip", "-n", paths.switch, "link", "del", host)
    try_run("ip", "netns", "del", paths.netns(host))


def set_link(paths: Paths, host: str, up: bool) -> None:
    """Plug the host's cable in, or pull it."""
    run("ip", "-n", paths.switch, "link", "set", host, "up" if up else "down")


def silence(paths: Paths, host: str) -> None:
    """Pull the host's cable, if there is one."""
    try_run("ip", "-n", paths.switch, "link", "set", host, "down")


def is_cut(paths: Paths, host: str) -> bool:
    """Whether the host's cable is pulled."""
    done = try_run("ip", "-n", paths.switch, "-j", "link", "show", host)
    return done.returncode == 0 and "UP" not in json.loads(done.stdout)[0]["flags"]


def remove_switch(paths: Paths) -> None:
    """Remove the switch and the machine's link, if they are there."""
    try_run("ip", "link", "del", paths.machine_link)
    try_run("ip", "netns", "del", paths.switch)


def unmount_namespaces() -> None:
    """Undo what the first `ip netns add` of a machine does besides: it mounts their directory on itself."""
    # While there is a namespace of anybody in it, it stays; and without -l a mount in use does not go.
    if _NAMESPACES.is_dir() and not any(_NAMESPACES.iterdir()):
        try_run("umount", str(_NAMESPACES))


def own(switch: str, names: Iterable[str]) -> list[str]:
    """The namespaces of one lab, its switch's and its hosts'; not those of a lab whose name begins like its own."""
    mine = re.compile(re.escape(switch) + r"(-[mw][0-9]+)?")
    return sorted(name for name in names if mine.fullmatch(name))


def leftovers(paths: Paths) -> list[str]:
    """Namespaces and links of this lab that are still there."""
    spaces = [f"namespace {name}" for name in own(paths.switch, (path.name for path in _NAMESPACES.glob("*")))]
    links = [f"link {paths.machine_link}"] if Path(f"/sys/class/net/{paths.machine_link}").exists() else []
    return spaces + links
