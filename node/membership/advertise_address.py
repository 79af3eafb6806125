"""The address at which other hosts reach this one: the given one, or the only one.

Texts and order are dockerd's (moby daemon/cluster/listen_addr.go); the docker command line adds its hint when an error
contains "could not choose an IP address to advertise".
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Mapping, Sequence
from fcntl import ioctl

from api.errors import Invalid
from overlay.plan.link_names import is_ours

_SIOCGIFADDR = 0x8915
Interfaces = Mapping[str, Sequence[str]]
"""Addresses by interface name."""


def host_port(text: str, default_port: int) -> tuple[str, int]:
    """Split "host", "host:port", "[v6]:port" or ":port". Raises Invalid."""
    host, port = text, ""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise Invalid(f"invalid address {text!r}: {port!r} is not a port")
    return host, int(port) if port else default_port


def listening(text: str, default_port: int, interfaces: Interfaces) -> tuple[str, int]:
    """The IP address and port to listen on. `text` has an address or an interface's name. Raises Invalid."""
    host, port = host_port(text, default_port)
    if host in interfaces:
        return resolve(host, interfaces), port
    try:
        return str(ipaddress.ip_address(host or "0.0.0.0")), port
    except ValueError:
        raise Invalid(f"cannot listen on {text!r}: {host!r} is neither an IP address nor an interface") from None


def advertised(given: str, listen: str, interfaces: Interfaces) -> str:
    """The address to advertise. `given` is an address or an interface's name, with or without a port, or "".

    Raises Invalid when nothing was given and the host has several addresses, or none.
    """
    if given:
        return resolve(host_port(given, 1)[0], interfaces)
    if listen and not ipaddress.ip_address(listen).is_unspecified:
        return listen
    return only_address(interfaces)


def resolve(host: str, interfaces: Interfaces) -> str:
    """An address, or the address of the interface of that name. Raises Invalid."""
    if host in interfaces:
        addresses = interfaces[host]
        if len(addresses) > 1:
            raise Invalid(f"interface {host} has more than one IP address ({', '.join(addresses)}); name the address")
        if not addresses:
            raise Invalid(f"interface {host} has no usable IPv4 address")
        return addresses[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise Invalid(f"{host!r} is neither an IP address nor an interface of this host") from None
    if address.is_unspecified:
        raise Invalid(f"advertise address must be a non-zero IP address, not {host}")
    return str(address)


def only_address(interfaces: Interfaces) -> str:
    """The only address outside loopback and the bridges of Argosy and Docker. Raises Invalid unless there is one."""
    found = [
        (name, address)
        for name, addresses in interfaces.items()
        for address in addresses
        if not ipaddress.ip_address(address).is_loopback
        and not is_ours(name)
        and not name.startswith(("docker", "br-"))
    ]
    if not found:
        raise Invalid("could not find the system's IP address; specify one with --advertise-addr")
    if len(found) > 1:
        listed = " and ".join(f"{address} on {name}" for name, address in found[:2])
        raise Invalid(
            "could not choose an IP address to advertise since this system has multiple addresses "
            f"{'on different interfaces' if found[0][0] != found[1][0] else 'on interface ' + found[0][0]} ({listed})"
            "; specify one with --advertise-addr"
        )
    return found[0][1]


def interfaces() -> dict[str, list[str]]:
    """This host's interfaces and their first IPv4 address, as the kernel has them now."""
    found: dict[str, list[str]] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _index, name in socket.if_nameindex():
            try:
                answer = ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                found[name] = [socket.inet_ntoa(answer[20:24])]
            except OSError:
                found[name] = []  # it has none
    return found
