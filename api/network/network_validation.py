"""What is wrong with a network spec, and what of it is not supported: sentences that begin with the field's path."""

from __future__ import annotations

import ipaddress
import re

from api.field_rules import NAME_LENGTH, Problems, is_address, label_problems
from api.network.network_spec import IPAMConfig, NetworkSpec
from api.network.subnets import special

NETWORK_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
NETWORK_NUMBERS = {
    "com.docker.network.driver.mtu": (576, 65535),
    "com.docker.network.driver.overlay.vxlanid_list": (1, (1 << 24) - 1),
}


def network_problems(spec: NetworkSpec) -> list[str]:
    """What is wrong with a network's spec."""
    found: list[str] = []
    if not spec.name:
        found.append("Name: a network needs a name")
    elif not NETWORK_NAME.fullmatch(spec.name) or len(spec.name) > NAME_LENGTH:
        found.append(
            f"Name: {spec.name[:70]!r} must begin with a letter or digit, go on with letters, digits, '_', '.', '-',"
            f" and be {NAME_LENGTH} characters or fewer"
        )
    found.extend(label_problems("Labels", spec.labels))
    for number, config in enumerate(spec.ipam.config):
        found.extend(_subnet_problems(f"IPAM.Config[{number}]", config))
    for name, (least, most) in NETWORK_NUMBERS.items():
        text = spec.options.get(name)
        if text is not None and not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
            found.append(f"Options.{name}: {text!r} is not a number from {least} to {most}")
    return found


def _nearest(text: str) -> str:
    try:
        return f"the one that this address is in is {ipaddress.ip_network(text, strict=False)}"
    except ValueError:
        return "an example of one is 10.1.0.0/16"


def _subnet_problems(path: str, config: IPAMConfig) -> Problems:
    if not config.subnet:
        if config.ip_range or config.gateway:
            yield f"{path}.Subnet: needed beside IPRange or Gateway"
        return
    try:
        subnet = ipaddress.ip_network(config.subnet)
    except ValueError:
        yield f"{path}.Subnet: {config.subnet!r} is not a subnet; {_nearest(config.subnet)}"
        return
    if subnet.version == 4 and not 8 <= subnet.prefixlen <= 29:
        yield f"{path}.Subnet: {config.subnet} must have a prefix length from 8 to 29"
    if subnet.version == 4 and (what := special(subnet)):
        yield f"{path}.Subnet: {config.subnet} overlaps {what}"
    if config.gateway and not (is_address(config.gateway) and ipaddress.ip_address(config.gateway) in subnet):
        yield f"{path}.Gateway: {config.gateway!r} is not an address in {config.subnet}"
    for name, address in config.auxiliary_addresses.items():
        if not (is_address(address) and ipaddress.ip_address(address) in subnet):
            yield f"{path}.AuxiliaryAddresses.{name}: {address!r} is not an address in {config.subnet}"
    if config.ip_range and not _within(config.ip_range, subnet):
        yield f"{path}.IPRange: {config.ip_range!r} is not a range in {config.subnet}"


def _within(text: str, outer: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        inner = ipaddress.ip_network(text)
    except ValueError:
        return False
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    return (
        isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network) and inner.subnet_of(outer)
    )


def network_refusals(spec: NetworkSpec) -> list[str]:
    """Parts of a network's spec that would not be honoured; the API answers them with 501."""
    return [*_driver_refusals(spec), *_address_refusals(spec)]


def _driver_refusals(spec: NetworkSpec) -> Problems:
    if spec.driver not in ("", "overlay"):
        yield f"Driver: {spec.driver!r} is not supported; a cluster's networks are overlay networks"
    if spec.scope not in ("", "swarm"):
        yield f"Scope: {spec.scope!r} is not supported; a cluster's networks have the scope swarm"
    if spec.enable_ipv6:
        yield "EnableIPv6: IPv6 on overlay networks is not supported"
    if "encrypted" in spec.options and spec.options["encrypted"] != "false":
        yield "Options.encrypted: encrypted networks are not supported"
    for name in sorted(set(spec.options) - {"encrypted", *NETWORK_NUMBERS}):
        yield f"Options.{name}: this option is not supported"


def _address_refusals(spec: NetworkSpec) -> Problems:
    if spec.ipam.driver not in ("", "default"):
        yield f"IPAM.Driver: {spec.ipam.driver!r} is not supported; default is"
    for name in sorted(spec.ipam.options or {}):
        yield f"IPAM.Options.{name}: this option is not supported"
    if len(spec.ipam.config) > 1:
        yield "IPAM.Config: more than one subnet is not supported"
    for number, config in enumerate(spec.ipam.config):
        if ":" in config.subnet:
            yield f"IPAM.Config[{number}].Subnet: IPv6 subnets are not supported"
