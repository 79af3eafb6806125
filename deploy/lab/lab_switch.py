"""The lab's switch: a bridge in its own network namespace, with a link to each host and one to the machine."""

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
    """The first three octets of a /24 that no link or route of the machine and no other lab uses."""
    rows = json.loads(run("ip", "-j", "-4", "route", "show", "table", "all"))
    routes = [ipaddress.ip_network(row["dst"], strict=False) for row in rows if row.get("dst", "default") != "default"]
    for subnet in _SUBNETS.subnets(new_prefix=24):
        octets = str(subnet.network_address).rpartition(".")[0]
        if octets not in taken and not any(subnet.overlaps(route) for route in routes):
            return octets
    raise Unavailable(f"every /24 of {_SUBNETS} is in use on this machine; no room for a lab")


def make_switch(paths: Paths, record: LabRecord) -> None:
    """Create the namespace, its bridge, and the machine's link."""
    run("ip", "netns", "add", paths.switch)
    run("ip", "-n", paths.switch, "link", "add", _BRIDGE, "type", "bridge", "forward_delay", "0")
    run("ip", "-n", paths.switch, "link", "set", _BRIDGE, "up")
    # With br_netfilter loaded, the bridge would pass every frame through the namespace's (empty) firewall.
    run("ip", "link", "add", paths.machine_link, "type", "veth", "peer", "name", "machine", "netns", paths.switch)
    run("ip", "-n", paths.switch, "link", "set", "machine", "master", _BRIDGE, "up")
    run("ip", "addr", "add", f"{record.machine_address}/24", "dev", paths.machine_link)
    run("ip", "link", "set", paths.machine_link, "up")


def plug_in(paths: Paths, record: LabRecord, host: HostRecord) -> None:
    """Create a network namespace for the host, with eth0 on the switch."""
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
    """Remove the host's link and namespace, if they exist."""
    try_run("ip", "-n", paths.switch, "link", "del", host)
    try_run("ip", "netns", "del", paths.netns(host))


def set_link(paths: Paths, host: str, up: bool) -> None:
    """Connect the host's link or disconnect it."""
    run("ip", "-n", paths.switch, "link", "set", host, "up" if up else "down")


def disconnect(paths: Paths, host: str) -> None:
    """Disconnect the host's link, if it exists."""
    try_run("ip", "-n", paths.switch, "link", "set", host, "down")


def is_cut(paths: Paths, host: str) -> bool:
    """Whether the host's link is disconnected."""
    done = try_run("ip", "-n", paths.switch, "-j", "link", "show", host)
    return done.returncode == 0 and "UP" not in json.loads(done.stdout)[0]["flags"]


def remove_switch(paths: Paths) -> None:
    """Remove the switch and the machine's link, if they exist."""
    try_run("ip", "link", "del", paths.machine_link)
    try_run("ip", "netns", "del", paths.switch)


def unmount_namespaces() -> None:
    """Unmount the directory of namespaces, which the machine's first `ip netns add` mounts on itself."""
    # It stays mounted while it contains any namespace; umount without -l fails when it is in use.
    if _NAMESPACES.is_dir() and not any(_NAMESPACES.iterdir()):
        try_run("umount", str(_NAMESPACES))


def namespaces_of(switch: str, names: Iterable[str]) -> list[str]:
    """The namespaces of one lab (its switch and hosts), but not those of another lab whose name has this prefix."""
    mine = re.compile(re.escape(switch) + r"(-[mw][0-9]+)?")
    return sorted(name for name in names if mine.fullmatch(name))


def leftovers(paths: Paths) -> list[str]:
    """Namespaces and links of this lab that still exist."""
    spaces = [
        f"namespace {name}" for name in namespaces_of(paths.switch, (path.name for path in _NAMESPACES.glob("*")))
    ]
    links = [f"link {paths.machine_link}"] if Path(f"/sys/class/net/{paths.machine_link}").exists() else []
    return spaces + links
