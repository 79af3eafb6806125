"""pyroute2's message classes, and the reader and template for long tables."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.kernel.pyroute2_codec import MOST_LAYOUTS, TableReader, Template, body_class, decode, encode, ndmsg
from tests.overlay.hosts import REPOSITORY

NEIGHBOUR = body_class(ndmsg.ndmsg)
VALUES = {
    "NDA_DST": "10.0.1.11",
    "NDA_LLADDR": "02:42:0a:00:01:0b",
    "NDA_VLAN": 7,
    "NDA_PORT": 4789,
    "NDA_VNI": 4097,
    "NDA_MASTER": 12,
}


@given(st.lists(st.lists(st.sampled_from(sorted(VALUES)), unique=True), max_size=3 * MOST_LAYOUTS))
def test_a_tables_reader_finds_what_pyroute2_finds_however_many_layouts_there_are(table: list[list[str]]) -> None:
    reader = TableReader(NEIGHBOUR)
    for number, names in enumerate(table):
        body = encode(NEIGHBOUR, *((name, VALUES[name]) for name in names), family=2, ifindex=number)
        slots = [slot.cell for slot in decode(NEIGHBOUR, body)["attrs"]]

        assert reader.attributes(body) == {name: body[nla.offset + 4 : nla.offset + nla.length] for name, nla in slots}


@given(st.binary(max_size=80))
def test_a_tables_reader_takes_any_bytes_as_pyroute2_does(tail: bytes) -> None:
    reader, body = TableReader(NEIGHBOUR), bytes(12) + tail
    first = reader.attributes(body)

    assert reader.attributes(body) == first


def test_a_template_takes_no_value_of_another_length() -> None:
    template = Template(NEIGHBOUR, ("NDA_LLADDR", "00:00:00:00:00:00"))

    assert template.fill((7, 1, 2, 3, 0), bytes(6))[:4] == b"\7\0\0\0"
    with pytest.raises(ValueError, match="different structures"):
        template.fill((7, 1, 2, 3, 0), bytes(5))


def test_no_more_of_pyroute2_is_imported_than_messages_need() -> None:
    script = "import sys, overlay.host_networks; print(*(name for name in sys.modules if name.startswith('pyroute2')))"
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())

    assert "pyroute2.netlink.rtnl.ndmsg" in imported
    assert imported.isdisjoint({"pyroute2.iproute", "pyroute2.ndb", "pyroute2.ipdb", "pyroute2.conntrack"})
