"""Another implementation (dnspython) reads what we write, and we read what it writes."""

from __future__ import annotations

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.dns import dns_message

LABELS = st.lists(st.text("abcXYZ019-_", min_size=1, max_size=63), min_size=1, max_size=3)
KINDS = st.sampled_from([dns_message.A, dns_message.AAAA, dns_message.PTR, dns_message.SOA, dns_message.ANY, 65])
PAYLOADS = st.sampled_from([None, 0, 511, 1232, 4096, 65535])
ADDRESSES = st.lists(st.ip_addresses(v=4).map(str), max_size=40, unique=True)
CODES = st.sampled_from([dns_message.NOERROR, dns_message.NXDOMAIN, dns_message.SERVFAIL, dns_message.NOTIMP])


def query(labels: list[str], kind: int, payload: int | None) -> dns.message.Message:
    name = dns.name.from_text(".".join(labels) + ".")
    edns = {} if payload is None else {"use_edns": 0, "payload": payload}
    return dns.message.make_query(name, kind, **edns)


@given(LABELS, KINDS, PAYLOADS)
def test_its_queries_are_read(labels: list[str], kind: int, payload: int | None) -> None:
    asked = query(labels, kind, payload)
    found = dns_message.parse_query(asked.to_wire())

    assert (found.id, found.name, found.kind) == (asked.id, ".".join(labels).lower(), kind)
    assert found.edns == (payload is not None)
    assert found.size == min(max(payload or 0, 512), 4096)
    assert found.flags & dns_message.RECURSION_DESIRED


@given(LABELS, PAYLOADS, CODES, ADDRESSES, st.integers(0, 3600))
def test_it_reads_our_answers(
    labels: list[str], payload: int | None, code: int, addresses: list[str], ttl: int
) -> None:
    asked = query(labels, dns_message.A, payload)
    answer = dns_message.response(dns_message.parse_query(asked.to_wire()), code, addresses, ttl=ttl)
    found = dns.message.from_wire(answer)

    assert asked.is_response(found)
    assert found.rcode() == code
    assert found.flags & ~0xF == dns.flags.QR | dns.flags.AA | dns.flags.RD | dns.flags.RA
    assert (found.edns >= 0) == (payload is not None)
    assert [str(item) for records in found.answer for item in records] == addresses
    assert all((records.name, records.ttl) == (asked.question[0].name, ttl) for records in found.answer)


@given(LABELS, PAYLOADS, LABELS)
def test_it_reads_our_pointers(labels: list[str], payload: int | None, target: list[str]) -> None:
    asked = query(labels, dns_message.PTR, payload)
    read = dns_message.parse_query(asked.to_wire())
    found = dns.message.from_wire(dns_message.response(read, dns_message.NOERROR, pointer=".".join(target), ttl=9))

    assert asked.is_response(found)
    assert [str(item) for records in found.answer for item in records] == [".".join(target) + "."]


@given(LABELS, PAYLOADS, ADDRESSES)
def test_it_reads_what_is_truncated_and_what_is_refused(
    labels: list[str], payload: int | None, addresses: list[str]
) -> None:
    asked = query(labels, dns_message.A, payload)
    read = dns_message.parse_query(asked.to_wire())
    answer = dns_message.truncate(dns_message.response(read, dns_message.NOERROR, addresses), read)
    refused = dns_message.refuse(asked.to_wire(), dns_message.FORMERR)

    assert len(answer) <= read.size
    assert asked.is_response(dns.message.from_wire(answer))
    assert refused is not None
    assert dns.message.from_wire(refused).rcode() == dns.rcode.FORMERR


@given(LABELS, PAYLOADS, st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4))
def test_what_it_takes_for_a_question_is_one(
    labels: list[str], payload: int | None, damage: list[tuple[int, int]]
) -> None:
    data = bytearray(query(labels, dns_message.A, payload).to_wire())
    for place, byte in damage:
        data[place % len(data)] = byte
    try:
        taken = dns.message.from_wire(bytes(data))
    except (dns.exception.DNSException, ValueError):
        return  # it refuses more than we do: options and classes that do not concern us
    if taken.flags & dns.flags.QR or len(taken.question) != 1 or taken.answer or taken.authority:
        with pytest.raises(dns_message.Malformed):
            dns_message.parse_query(bytes(data))
        return
    labels_read = [label.decode("latin-1").lower() for label in taken.question[0].name.labels if label]
    assert dns_message.parse_query(bytes(data)).name == ".".join(labels_read)
