"""The short form of ports ("127.0.0.1:8000-8010:80-90/udp"), converted to one long form per port."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence

from compose.read.report import Report
from compose.read.tree import Path, TreeNode

_SHORT = re.compile(
    r"""
    (?:(?P<host>\[[0-9a-fA-F:.]+\]|[^:\[\]/]*):(?=[0-9-]*:))?   # an address, when two more parts follow
    (?:(?P<published>[0-9]*(?:-[0-9]+)?):)?
    (?P<target>[0-9]+(?:-[0-9]+)?)
    (?:/(?P<protocol>[a-zA-Z0-9]+))?$""",
    re.VERBOSE,
)
_ANY_ADDRESS = ("", "0.0.0.0", "::")
_USUAL = {"protocol": "tcp", "mode": "ingress"}
PROTOCOLS = ("tcp", "udp", "sctp")
MOST = 65535


class BadPort(Exception):
    """The text is not a valid port; the message says why."""


def parse_short(text: str) -> list[dict[str, str | int]]:
    """The ports of a short form, as entries of the long form. Raises BadPort."""
    match = _SHORT.match(text)
    if not match:
        raise BadPort(f'{text!r} is not a port; write "published:target", such as "8080:80" or "53:53/udp"')
    address = parse_address((match["host"] or "").strip("[]"))
    protocol = (match["protocol"] or "tcp").lower()
    if protocol not in PROTOCOLS:
        raise BadPort(f"protocol {protocol!r} is not one of tcp, udp, sctp")
    targets: Sequence[int] = parse_range(match["target"])
    published = parse_range(match["published"]) if match["published"] else None
    if published is not None and len(targets) == 1:
        targets = [targets[0]] * len(published)  # all lead to the same target, as with `docker stack deploy`
    if published is not None and len(published) != len(targets):
        raise BadPort(f"{text!r} publishes {len(published)} ports for {len(targets)} of the container")
    return [
        {**_USUAL, "target": target, "protocol": protocol}
        | ({"published": str(published[number])} if published is not None else {})
        | ({"host_ip": address} if address else {})
        for number, target in enumerate(targets)
    ]


def parse_address(text: str) -> str:
    """A host's address; "" for all its addresses. Raises BadPort."""
    if text in _ANY_ADDRESS:
        return ""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise BadPort(f"{text!r} is not an IP address") from None


def parse_range(text: str) -> range:
    """The range of "80" or "80-90". Raises BadPort."""
    first, _, last = text.partition("-")
    if not first.isdigit() or (last and not last.isdigit()):
        raise BadPort(f"{text!r} is not a port number")
    low, high = int(first), int(last or first)
    if not 1 <= low <= MOST or high > MOST:
        raise BadPort(f"a port is a number from 1 to {MOST}, not {text}")
    if high < low:
        raise BadPort(f"the range {text} ends before it begins")
    return range(low, high + 1)


def long_ports(report: Report, node: TreeNode, path: Path) -> TreeNode:
    """`ports` in long form."""
    items: list[TreeNode] = []
    for number, item in enumerate(node.items):
        try:
            items += _long(item)
        except BadPort as error:
            items.append(report.error(item, (*path, f"[{number}]"), str(error)))
    return node.with_value([*_without_duplicates(items)])


def _without_duplicates(items: list[TreeNode]) -> Iterator[TreeNode]:
    """The items without duplicates."""
    seen: set[str] = set()
    for item in items:
        content = "" if item.is_broken else repr(sorted((key, node.text) for key, node in item.entries.items()))
        if not content or content not in seen:
            seen.add(content)
            yield item


def _long(item: TreeNode) -> list[TreeNode]:
    if item.is_broken:
        return [item]
    if not isinstance(item.value, dict):
        return [
            item.with_value({key: TreeNode(value, item.mark) for key, value in entry.items()})
            for entry in parse_short(item.text)
        ]
    target, published, address = item.get("target"), item.get("published"), item.get("host_ip")
    if target is None:
        raise BadPort("lacks target, the port of the container")
    if not target.is_broken:
        parse_range(target.text)
    usual = {key: item.with_value(value) for key, value in _USUAL.items()}
    entries = usual | item.value
    if address and not address.is_broken:
        entries["host_ip"] = address.with_value(parse_address(address.text))
    if published and not published.is_broken and published.text not in ("", "0"):
        ports = parse_range(published.text)
        return [item.with_value({**entries, "published": published.with_value(str(port))}) for port in ports]
    return [item.with_value(entries)]
