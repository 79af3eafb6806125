"""The netlink messages of netfilter: conntrack's flows, and nftables.

Typed functions as in netlink_messages.py: those that write return a message body, those that read take one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from socket import AF_BRIDGE, AF_INET, IPPROTO_TCP, IPPROTO_UDP, inet_ntoa
from typing import Any

from overlay.kernel.pyroute2_codec import (
    Attribute,
    TableReader,
    attribute,
    body_class,
    decode,
    encode,
    nest,
    nest_class,
    netlink,
    nfctsocket,
    nfnetlink,
    nftsocket,
)
from overlay.plan.datagram_routes import Flow

_CONNTRACK = nfnetlink.NFNL_SUBSYS_CTNETLINK << 8
GET_FLOW: int = _CONNTRACK | nfctsocket.IPCTNL_MSG_CT_GET
DELETE_FLOW: int = _CONNTRACK | nfctsocket.IPCTNL_MSG_CT_DELETE
_NFTABLES = nfnetlink.NFNL_SUBSYS_NFTABLES << 8
GET_GENERATION: int = _NFTABLES | nftsocket.NFT_MSG_GETGEN
NEW_ELEMENTS: int = _NFTABLES | nftsocket.NFT_MSG_NEWSETELEM
BEGIN_BATCH: int = netlink.NLMSG_MIN_TYPE  # NFNL_MSG_BATCH_BEGIN, which pyroute2 has no name for
END_BATCH: int = BEGIN_BATCH + 1

_FLOW, _FLOW_ENDS = body_class(nfctsocket.nfct_msg), nfctsocket.nfct_msg.cta_tuple
_FLOWS, _TUPLES = TableReader(_FLOW), TableReader(nest_class(_FLOW_ENDS))
_IPS, _PROTOCOLS = TableReader(nest_class(_FLOW_ENDS.cta_ip)), TableReader(nest_class(_FLOW_ENDS.cta_proto))
_NETFILTER, _GENERATION = body_class(nfnetlink.nfgen_msg), body_class(nftsocket.nft_gen_msg)


def _elements_class() -> Any:
    """pyroute2's class with nftables' attribute type for every element of a set (NFTA_LIST_ELEM), not 1, 2, 3, …"""
    element = type("set_elem", (nftsocket.nft_set_elem_list_msg.set_elem,), {"header_type": 1})
    return type("nft_set_elem_list_msg", (body_class(nftsocket.nft_set_elem_list_msg),), {"set_elem": element})


_ELEMENTS = _elements_class()

# ── conntrack ────────────────────────────────────────────────────────────────────────────────────────────────────

_FILTER_BY = {"CTA_IP_V4_SRC": 0x01, "CTA_IP_V4_DST": 0x02, "CTA_PROTO_NUM": 0x08, "CTA_PROTO_DST_PORT": 0x20}
"""CTA_FILTER_FLAG(…) of linux/netfilter/nfnetlink_conntrack.h, which pyroute2 has no names for."""
_SEEN_REPLY = 1 << 1  # IPS_SEEN_REPLY


@cache
def all_flows() -> bytes:
    """Ask for every IPv4 flow."""
    return encode(_FLOW, nfgen_family=AF_INET)


def udp_flows(*, to: str = "", to_port: int = 0) -> bytes:
    """Ask for the UDP flows, or for those with this original destination address or port.

    Kernels before 5.8 ignore the filter and answer with all.
    """
    protocol: list[Attribute] = [("CTA_PROTO_NUM", IPPROTO_UDP)]
    if to_port:
        protocol.append(("CTA_PROTO_DST_PORT", to_port))
    return _filtered_flows("ORIG", [("CTA_IP_V4_DST", to)] if to else [], protocol)


def flows_answered_by(address: str) -> bytes:
    """Ask for the flows that this address answers."""
    return _filtered_flows("REPLY", [("CTA_IP_V4_SRC", address)], [])


def unanswered_tcp_flows() -> bytes:
    """Ask for the TCP flows without a reply. Older kernels ignore the filter and answer with more."""
    unanswered: list[Attribute] = [("CTA_STATUS", 0), ("CTA_STATUS_MASK", _SEEN_REPLY)]
    return _filtered_flows("ORIG", [], [("CTA_PROTO_NUM", IPPROTO_TCP)], unanswered)


def _filtered_flows(
    direction: str, ends: Sequence[Attribute], protocol: Sequence[Attribute], more: Sequence[Attribute] = ()
) -> bytes:
    return encode(
        _FLOW,
        *more,
        (f"CTA_TUPLE_{direction}", nest(("CTA_TUPLE_IP", nest(*ends)), ("CTA_TUPLE_PROTO", nest(*protocol)))),
        (
            "CTA_FILTER",
            nest((f"CTA_FILTER_{direction}_FLAGS", sum(_FILTER_BY[name] for name, _ in (*ends, *protocol)))),
        ),
        nfgen_family=AF_INET,
    )


@dataclass(frozen=True, slots=True)
class _Ends:
    """A flow's packets in one direction."""

    protocol: int
    source: str
    source_port: int
    target: str
    target_port: int


def _ends(value: bytes) -> _Ends:
    """Decode a CTA_TUPLE. A port is 0 if the protocol has none."""
    parts = _TUPLES.attributes(value)
    addresses, protocol = _IPS.attributes(parts["CTA_TUPLE_IP"]), _PROTOCOLS.attributes(parts["CTA_TUPLE_PROTO"])
    return _Ends(
        protocol["CTA_PROTO_NUM"][0],
        inet_ntoa(addresses["CTA_IP_V4_SRC"]),
        int.from_bytes(protocol.get("CTA_PROTO_SRC_PORT", b""), "big"),
        inet_ntoa(addresses["CTA_IP_V4_DST"]),
        int.from_bytes(protocol.get("CTA_PROTO_DST_PORT", b""), "big"),
    )


def read_flow(body: bytes) -> Flow:
    """A flow's original destination, and the address that answers. A port is 0 if the protocol has none."""
    attributes = _FLOWS.attributes(body)
    first, reply = _ends(attributes["CTA_TUPLE_ORIG"]), _ends(attributes["CTA_TUPLE_REPLY"])
    return Flow(first.protocol, (first.target, first.target_port), (reply.source, reply.source_port))


def is_unanswered_tcp(body: bytes) -> bool:
    """Whether it is a TCP flow without a reply."""
    attributes = _FLOWS.attributes(body)
    status = int.from_bytes(attributes["CTA_STATUS"], "big")
    return _ends(attributes["CTA_TUPLE_ORIG"]).protocol == IPPROTO_TCP and not status & _SEEN_REPLY


def flow_to_delete(body: bytes) -> bytes:
    """The body of a request that deletes exactly the flow that was read, and no later one.

    It identifies the flow by the reply tuple, not by the original one: a client that reuses its port makes a flow with
    the same original tuple and, as the kernel reuses memory, the same id. That flow leads elsewhere and must stay.
    """
    message, named = decode(_FLOW, body), [encode(_NETFILTER, nfgen_family=AF_INET)]
    for slot in message["attrs"]:
        if slot.name in ("CTA_TUPLE_REPLY", "CTA_ID", "CTA_ZONE"):
            named.append(body[slot.nla.offset :][: message.msg_align(slot.nla.length)])
    return b"".join(named)


class FlowFilter:
    """Preselects flows without decoding them: tables are long, and decoding a flow takes 50 µs.

    Searches a body for the encoded attributes, at any place. True may be wrong; False is certain.
    """

    def __init__(self, answered_by: Iterable[str], udp_to: Iterable[tuple[str, int]]) -> None:
        """Selects flows answered by one of these addresses, and UDP flows to an address (port 0) or to a port."""
        self._sources = {_cta_source(address) for address in answered_by}
        frontends = tuple(udp_to)
        self._targets = {_cta_target(address) for address, port in frontends if not port}
        self._ports = {_cta_port(port) for _, port in frontends if port}

    def __call__(self, body: bytes) -> bool:
        """Whether a flow may be one of the selected."""
        if not self._sources.isdisjoint(_like(_CTA_SOURCE, body)):
            return True
        return _CTA_UDP in body and not (
            self._targets.isdisjoint(_like(_CTA_TARGET, body)) and self._ports.isdisjoint(_like(_CTA_PORT, body))
        )


def _cta_source(address: str) -> bytes:
    return attribute(_FLOW_ENDS.cta_ip, "CTA_IP_V4_SRC", address)


def _cta_target(address: str) -> bytes:
    return attribute(_FLOW_ENDS.cta_ip, "CTA_IP_V4_DST", address)


def _cta_port(port: int) -> bytes:
    return attribute(_FLOW_ENDS.cta_proto, "CTA_PROTO_DST_PORT", port)


def _like(sample: bytes, body: bytes) -> Iterator[bytes]:
    """Every part of the body that begins like this attribute, with the attribute's length."""
    header = sample[:4]
    at = body.find(header)
    while at >= 0:
        yield body[at : at + len(sample)]
        at = body.find(header, at + 1)


_CTA_SOURCE, _CTA_TARGET, _CTA_PORT = _cta_source("0.0.0.0"), _cta_target("0.0.0.0"), _cta_port(0)
_CTA_UDP = attribute(_FLOW_ENDS.cta_proto, "CTA_PROTO_NUM", IPPROTO_UDP)


# ── nftables ─────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def generation() -> bytes:
    """Ask for the number of the last transaction."""
    return encode(_NETFILTER)


def read_generation(body: bytes) -> int:
    """That number; 0 when the kernel does not send it."""
    # pyroute2 does not know this message's prefix, so the attribute is asked for by its full name
    return int(decode(_GENERATION, body).get_attr("NFTA_GEN_ID") or 0)


@cache
def batch_edge() -> bytes:
    """The body of the first and of the last message of a transaction."""
    return encode(_NETFILTER, res_id=nfnetlink.NFNL_SUBSYS_NFTABLES)


def set_elements(table: str, name: str, keys: Iterable[bytes]) -> bytes:
    """Elements to add to a set in a table of the bridge family."""
    elements = [nest(("NFTA_SET_ELEM_KEY", nest(("NFTA_DATA_VALUE", key)))) for key in keys]
    return encode(
        _ELEMENTS,
        ("NFTA_SET_ELEM_LIST_TABLE", table),
        ("NFTA_SET_ELEM_LIST_SET", name),
        ("NFTA_SET_ELEM_LIST_ELEMENTS", elements),
        nfgen_family=AF_BRIDGE,
    )
