"""The DNS wire format against hostile bytes, and the server against clients and other servers on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.dns import dns_message
from overlay.dns.dns_server import DnsServer
from overlay.dns.forwarder import Forwarder
from overlay.dns.pending_questions import PendingQuestions, memory
from overlay.dns.resolver import Resolver
from overlay.interface import Interface, Sandbox
from overlay.kernel.namespaces import DnsSockets
from overlay.plan.dns_zone import index
from tests.overlay.orders import ingress_snapshot

SANDBOX = Sandbox("c1", "t1", "api.1", "api", "box", (Interface("n1", "10.0.1.40/24"),))


def question(name: str, kind: int = dns_message.A, *, edns: int = 0, id: int = 7) -> bytes:
    header = struct.pack("!6H", id, dns_message.RECURSION_DESIRED, 1, 0, 0, 1 if edns else 0)
    extra = b"\0" + struct.pack("!HHIH", dns_message.OPT, edns, 0, 0) if edns else b""
    return header + dns_message.encode_name(name) + struct.pack("!HH", kind, 1) + extra


def addresses(answer: bytes) -> list[str]:
    query_end = 12 + len(dns_message.parse_query(b"\0\0\0\0\0\1\0\0\0\0\0\0" + answer[12:]).section)
    (count,) = struct.unpack_from("!H", answer, 6)
    records = [answer[query_end + 16 * n : query_end + 16 * (n + 1)] for n in range(count)]
    return [".".join(map(str, record[12:16])) for record in records]


@given(st.binary(max_size=600))
def test_no_packet_breaks_the_parser(data: bytes) -> None:
    with contextlib.suppress(dns_message.Malformed):
        query = dns_message.parse_query(data)
        assert dns_message.response(query, dns_message.NOERROR, ["10.0.0.1"])
    dns_message.refuse(data, dns_message.FORMERR)


@given(st.binary(max_size=200))
def test_no_packet_breaks_the_resolver(tail: bytes) -> None:
    resolver = Resolver(SANDBOX, {"n1": "10.0.1.40"}, internal=False)
    data = question("web")[:14] + tail
    with contextlib.suppress(dns_message.Malformed):
        resolver.answer(dns_message.parse_query(data))


@given(st.lists(st.text("abcXYZ019-_", min_size=1, max_size=63), min_size=1, max_size=3).map(".".join))
def test_a_name_is_read_as_it_was_written_letter_case_aside(name: str) -> None:
    query = dns_message.parse_query(question(name, edns=4000))

    assert (query.name, query.kind, query.size, query.edns) == (name.lower(), dns_message.A, 4000, True)


def test_reverse_names_are_addresses() -> None:
    assert dns_message.reverse_address("4.3.2.1.in-addr.arpa") == "1.2.3.4"
    for bad in ("4.3.2.in-addr.arpa", "4.3.2.256.in-addr.arpa", "a.3.2.1.in-addr.arpa", "1.2.3.4"):
        assert dns_message.reverse_address(bad) is None


def test_tasks_are_given_in_turn_and_the_cache_forgets_when_names_change() -> None:
    resolver = Resolver(SANDBOX, {"n1": "10.0.1.40"}, internal=False)
    resolver.use_names({"n1": index(ingress_snapshot())})
    data = question("tasks.web")
    resolver.remember(data, resolver.answer(dns_message.parse_query(data)))

    seen = [addresses(resolver.cached(data) or b"") for _ in range(2)]

    assert sorted(seen) == [["10.0.1.11", "10.0.1.12"], ["10.0.1.12", "10.0.1.11"]]
    resolver.use_names({"n1": index(ingress_snapshot())})
    assert resolver.cached(data) is None


def test_an_answer_too_long_for_the_client_is_truncated() -> None:
    query = dns_message.parse_query(question("many"))
    answer = dns_message.truncate(dns_message.response(query, dns_message.NOERROR, ["10.0.0.1"] * 100), query)

    assert dns_message.is_truncated(answer)
    assert len(answer) <= 512


Answering = Callable[[bytes], bytes | None]


class Upstream:
    """A name server on a port of loopback, over UDP and TCP, that answers what it is told to."""

    def __init__(self, udp: Answering, tcp: Answering) -> None:
        self._udp, self._tcp = udp, tcp
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    async def __aenter__(self) -> Upstream:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        self._socket.bind(("127.0.0.1", self.port))
        asyncio.get_running_loop().add_reader(self._socket, self._read)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._server.close()
        await self._server.wait_closed()

    def _read(self) -> None:
        data, client = self._socket.recvfrom(4096)
        self.asked += 1
        if answer := self._udp(data):
            self._socket.sendto(answer, client)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        answer = self._tcp(data) or b""
        writer.write(len(answer).to_bytes(2, "big") + answer)
        writer.close()


def says(*addresses: str, code: int = dns_message.NOERROR) -> Answering:
    return lambda data: dns_message.response(dns_message.parse_query(data), code, addresses)


@contextlib.asynccontextmanager
async def serving(port: int, *, internal: bool = False) -> AsyncIterator[tuple[str, int]]:
    """A sandbox's server on loopback, forwarding to that port."""
    # TCP first: of its ports some are in TIME_WAIT, of UDP's none
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    tcp.bind(("127.0.0.1", 0))
    tcp.listen()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    udp.bind(tcp.getsockname())
    resolver = Resolver(SANDBOX, {"n1": "10.0.1.40"}, internal)
    resolver.use_names({"n1": index(ingress_snapshot())})
    forwarder = Forwarder(port, timeout=0.2)
    fd = memory()
    pending = PendingQuestions(fd)
    os.close(fd)
    server = DnsServer(resolver, DnsSockets(udp, tcp), forwarder, lambda: ["127.0.0.1"], pending.of("c1"))
    try:
        yield udp.getsockname()
        assert list(pending.left()) == [], "what was answered is not pending"
    finally:
        server.close()


async def ask(server: tuple[str, int], data: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.connect(server)
        await loop.sock_sendall(sock, data)
        async with asyncio.timeout(10):
            return await loop.sock_recv(sock, 4096)


async def ask_tcp(server: tuple[str, int], data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*server)
    async with asyncio.timeout(10):
        writer.write(len(data).to_bytes(2, "big") + data)
        answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    writer.close()
    return answer


async def test_what_is_ours_is_answered_and_the_rest_forwarded_under_the_clients_id() -> None:
    async with Upstream(says("192.0.2.80"), says()) as upstream, serving(upstream.port) as server:
        assert addresses(await ask(server, question("WEB"))) == ["10.0.1.130"]
        assert addresses(await ask_tcp(server, question("web", edns=1232))) == ["10.0.1.130"]
        assert upstream.asked == 0
        answer = await ask(server, question("example.org", id=4242))
        assert (answer[:2], addresses(answer)) == ((4242).to_bytes(2, "big"), ["192.0.2.80"])


async def test_a_truncated_answer_is_fetched_over_tcp() -> None:
    def truncated(data: bytes) -> bytes:
        answer = bytearray(says()(data) or b"")
        answer[2] |= 0x02
        return bytes(answer)

    async with Upstream(truncated, says("192.0.2.81")) as upstream, serving(upstream.port) as server:
        assert addresses(await ask(server, question("example.org"))) == ["192.0.2.81"]
        assert addresses(await ask_tcp(server, question("example.org"))) == ["192.0.2.81"]


async def test_a_lost_question_is_asked_again() -> None:
    lost: list[bytes] = []

    def second_time(data: bytes) -> bytes | None:
        lost.append(data)
        return says("192.0.2.82")(data) if len(lost) > 1 else None

    async with Upstream(second_time, says()) as upstream, serving(upstream.port) as server:
        assert addresses(await ask(server, question("example.org"))) == ["192.0.2.82"]


async def test_servfail_when_nobody_answers() -> None:
    async with Upstream(lambda _: None, says()) as upstream, serving(upstream.port) as server:
        assert dns_message.code_of(await ask(server, question("example.org"))) == dns_message.SERVFAIL


async def test_an_internal_network_asks_nobody_outside() -> None:
    async with Upstream(says("192.0.2.80"), says()) as upstream, serving(upstream.port, internal=True) as server:
        assert dns_message.code_of(await ask(server, question("example.org"))) == dns_message.NXDOMAIN
        assert addresses(await ask(server, question("web"))) == ["10.0.1.130"]
        assert upstream.asked == 0


@pytest.mark.parametrize("junk", [b"", b"\0" * 11, b"\0" * 12, b"\0\0\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1"])
async def test_junk_does_not_stop_the_server(junk: bytes) -> None:
    async with Upstream(says(), says()) as upstream, serving(upstream.port) as server:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(junk, server)
        assert addresses(await ask(server, question("web"))) == ["10.0.1.130"]
