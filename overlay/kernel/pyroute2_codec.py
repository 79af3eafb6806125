"""Encoding and decoding of netlink message bodies with pyroute2's message classes; nothing else of pyroute2 is used.

Every import of pyroute2 is in this file. Importing one of its modules runs the package's `__init__`, which imports all
of it: 0.2 s and 19 MiB for code that is not used here. So the package is put into `sys.modules` without running
`__init__`; its modules are then imported as usual.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec, module_from_spec
from typing import Any


def _register_package(name: str) -> None:
    """Make a package's modules importable without running its `__init__`. Raises ModuleNotFoundError."""
    if name in sys.modules:
        return
    spec = find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"{name} is not installed; deploy/setup.sh installs it", name=name)
    sys.modules[name] = module_from_spec(spec)


_register_package("pyroute2")

from pyroute2 import netlink
from pyroute2.netlink import diag, nfnetlink, rtnl
from pyroute2.netlink.nfnetlink import nfctsocket, nftsocket
from pyroute2.netlink.rtnl import fibmsg, ndmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

__all__ = [
    "Attribute",
    "TableReader",
    "Template",
    "attribute",
    "body_class",
    "decode",
    "diag",
    "encode",
    "fibmsg",
    "fields_of",
    "ifaddrmsg",
    "ifinfmsg",
    "ndmsg",
    "nest",
    "nest_class",
    "netlink",
    "nfctsocket",
    "nfnetlink",
    "nftsocket",
    "rtmsg",
    "rtnl",
]


def body_class(message: Any) -> Any:
    """A message class of pyroute2 without the netlink header."""
    return type(message.__name__, (message,), {"header": None})


def nest_class(attribute: Any) -> Any:
    """The content of a nested attribute, as a message class without a header."""
    inside: dict[str, object] = {}
    bases = attribute.__mro__
    for base in reversed(bases[: bases.index(netlink.nla)]):
        inside |= {name: value for name, value in vars(base).items() if not name.startswith("_")}
    return type(attribute.__name__, (netlink.nlmsg,), {**inside, "header": None})


Attribute = tuple[str, object]
"""An attribute's name in pyroute2, and its value."""
ATTRIBUTE = struct.Struct("=" + "".join(code for _, code in netlink.nla.header))
"""The header of an attribute."""
MOST_LAYOUTS = 32
"""Attribute layouts that a table's reader remembers."""


def encode(kind: Any, *attributes: Attribute, **fields: object) -> bytes:
    """A body with these fields and attributes."""
    return bytes(_encoded(kind, attributes, fields).data)


def _encoded(kind: Any, attributes: Iterable[Attribute], fields: Mapping[str, object]) -> Any:
    message = kind()
    message.update(fields)
    message["attrs"] = list(attributes)
    message.encode()
    return message


def decode(kind: Any, body: bytes) -> Any:
    """Decode a body. pyroute2 decodes an attribute when it is first read."""
    message = kind(body, length=len(body))
    message.decode()
    return message


def nest(*attributes: Attribute, **fields: object) -> dict[str, object]:
    """The value of a nested attribute."""
    return {**fields, "attrs": list(attributes)}


class Template:
    """A body that pyroute2 has encoded once; fields and attribute values are then replaced in a copy.

    For neighbours and forwarding entries only: a host has one of each per endpoint of its networks, and encoding one
    with pyroute2 takes 40 µs, 20 times as long.
    """

    def __init__(self, kind: Any, *attributes: Attribute) -> None:
        message = _encoded(kind, attributes, {})
        self._body, self._fields = bytes(message.data), fields_of(kind)
        self._values = [place for _, place in _places(message)]

    def fill(self, fields: Sequence[int], *values: bytes) -> bytes:
        """The body with these fields, and with values in the order of the attributes.

        Raises ValueError when a value's length differs from the template's.
        """
        body = bytearray(self._body)
        self._fields.pack_into(body, 0, *fields)
        for place, value in zip(self._values, values, strict=True):
            memoryview(body)[place] = value
        return bytes(body)


class TableReader:
    """Reads the entries of a long table, taking attributes from where pyroute2 found them in a similar entry.

    A host may have tens of thousands of neighbours, forwarding entries, routes or flows, and hundreds of links.
    Decoding one takes 25 to 140 µs; this takes 3 to 10.
    """

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._size: int = kind.get_size()
        self._layouts: list[tuple[re.Pattern[bytes], list[str]]] = []

    def attributes(self, body: bytes) -> dict[str, bytes]:
        """The raw values of the attributes, by name."""
        for pattern, names in self._layouts:
            if found := pattern.fullmatch(body):
                return dict(zip(names, found.groups(), strict=True))
        places = _places(decode(self._kind, body))
        if len(self._layouts) < MOST_LAYOUTS:
            self._layouts.append((self._pattern(body, places), [name for name, _ in places]))
        return {name: body[place] for name, place in places}

    def _pattern(self, body: bytes, places: Iterable[tuple[str, slice]]) -> re.Pattern[bytes]:
        """A pattern for bodies with the same attributes, of the same lengths and in the same order."""
        pattern, at = b".{%d}" % self._size, self._size
        for _, place in places:
            pattern += re.escape(body[at : place.start]) + b"(.{%d})" % (place.stop - place.start)
            at = place.stop
        return re.compile(pattern + re.escape(body[at:]), re.DOTALL)


def fields_of(kind: Any) -> struct.Struct:
    """The fixed fields of a message class, before its attributes; all in the machine's byte order."""
    return struct.Struct("=" + "".join(code for _, code in kind.fields))


def _places(message: Any) -> list[tuple[str, slice]]:
    """The names of a message's attributes, and where their values are in its body."""
    cells = [slot.cell for slot in message["attrs"]]
    return [(name, slice(nla.offset + ATTRIBUTE.size, nla.offset + nla.length)) for name, nla in cells]


def attribute(kind: Any, name: str, value: object) -> bytes:
    """One attribute, encoded, without the padding after it."""
    message = _encoded(kind, [(name, value)], {})
    ((_, place),) = _places(message)
    return bytes(message.data[place.start - ATTRIBUTE.size : place.stop])
