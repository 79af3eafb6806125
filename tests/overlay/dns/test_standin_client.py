"""Names are answered while argosyd is away: the real stand-in on loopback, no namespace needed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from overlay.dns import dns_message, standin
from overlay.dns.dns_server import DnsServer
from overlay.dns.forwarder import Forwarder
from overlay.dns.resolver import Resolver
from overlay.dns.standin_client import StandInClient
from overlay.interface import Interface, Sandbox
from overlay.kernel.namespaces import DnsSockets
from overlay.plan.dns_zone import NetworkNames, index
from tests.overlay.dns.test_dns_server import addresses, question
from tests.overlay.orders import ingress_snapshot

OWN = {"n1": "10.0.1.40"}
ARGOSYD = NetworkNames("n1", {}, {}, {"web": ("10.0.9.9",)}, {})
"""What argosyd says here, so that it is seen who answers; the stand-in says 10.0.1.130."""


def sandbox(id: str = "c1") -> Sandbox:
    return Sandbox(id, "t1", "api.1", "api", "box", (Interface("n1", "10.0.1.40/24", ("me",)),))


def sockets() -> DnsSockets:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    # TCP first: of its ports some are in TIME_WAIT, of UDP's none
    tcp.bind(("127.0.0.1", 0))
    udp.bind(tcp.getsockname())
    tcp.listen(8)
    return DnsSockets(udp, tcp)


async def ask(server: DnsSockets | tuple[str, int], name: str, seconds: float = 10.0) -> list[str] | None:
    """The addresses that the socket's server answers with; None when there is no answer."""
    where = server if isinstance(server, tuple) else server.udp.getsockname()
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as client:
        await loop.sock_connect(client, where)
        await loop.sock_sendall(client, question(name))
        try:
            async with asyncio.timeout(seconds):
                return addresses(await loop.sock_recv(client, 4096))
        except TimeoutError:
            return None


async def ask_tcp(where: tuple[str, int], name: str) -> list[str]:
    reader, writer = await asyncio.open_connection(*where)
    data = question(name)
    writer.write(len(data).to_bytes(2, "big") + data)
    async with asyncio.timeout(10):
        answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    writer.close()
    return addresses(answer)


def serve(client: StandInClient, sockets: DnsSockets, upstream: str = "127.0.0.1", port: int = 53) -> DnsServer:
    """As argosyd does; what is not ours goes to `upstream`."""
    resolver = Resolver(sandbox(), OWN, internal=False)
    resolver.use_names({"n1": ARGOSYD})
    return DnsServer(resolver, sockets, Forwarder(port), lambda: [upstream], client.pending.of("c1"))


async def told(client: StandInClient) -> None:
    """Until the stand-in has been told everything."""
    async with asyncio.timeout(20):
        while client._sent_sandboxes != set(client._sandboxes) or client._sent_names != dict(client._names):
            await asyncio.sleep(0.01)
        while client._sent_passive is not client._passive:
            await asyncio.sleep(0.01)


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    place = tmp_path / "names.sock"
    yield place
    await StandInClient(place).end()


async def begun(path: Path, held: DnsSockets, upstream: str = "") -> StandInClient:
    """A client with one sandbox, whose stand-in knows all."""
    client = StandInClient(path)
    assert await client.take_over() == {}
    client.serve(replace(sandbox(), nameservers=(upstream,) if upstream else ()), OWN, False, held)
    client.use_names({"n1": index(ingress_snapshot())})
    client.resume_serving()
    client.start()
    await told(client)
    return client


async def test_the_stand_in_answers_from_when_argosyd_is_gone_and_gives_the_sockets_back(path: Path) -> None:
    held = sockets()
    where = held.udp.getsockname()
    first = await begun(path, held)
    server = serve(first, held)
    for _ in range(20):
        assert await ask(where, "web") == ["10.0.9.9"], "it does nothing while argosyd is there"
        await asyncio.sleep(0.03)

    first.disconnect()
    server.close()
    assert await ask(where, "web") == ["10.0.1.130"]
    assert sorted(await ask(where, "tasks.web") or []) == ["10.0.1.11", "10.0.1.12"]
    assert await ask(where, "box") == await ask(where, "me") == ["10.0.1.40"]
    assert await ask_tcp(where, "web") == ["10.0.1.130"]

    second = StandInClient(path)
    back = await second.take_over()
    assert set(back) == {"c1"}
    assert back["c1"].udp.getsockname() == where
    assert await ask(where, "web") == ["10.0.1.130"], "it goes on until argosyd knows the names"
    second.serve(sandbox(), OWN, False, back["c1"])
    second.start()
    second.use_names({"n1": index(ingress_snapshot())})
    second.resume_serving()
    await told(second)
    server = serve(second, back["c1"])
    assert await ask(where, "web") == ["10.0.9.9"]
    server.close()
    await second.end()


async def test_what_changes_is_told_and_what_is_gone_is_let_go(path: Path) -> None:
    held, other = sockets(), sockets()
    client = await begun(path, held)
    client.serve(sandbox("c2"), OWN, False, other)
    client.use_names({"n1": NetworkNames("n1", {}, {}, {"new": ("10.0.1.99",)}, {})})
    await told(client)
    client.drop("c1")
    await told(client)
    gone, where = held.udp.getsockname(), other.udp.getsockname()
    held.close()
    other.close()
    client.disconnect()

    assert await ask(where, "new") == ["10.0.1.99"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(gone)  # nobody holds it any more


async def test_a_stand_in_that_dies_is_replaced_and_told_everything(path: Path) -> None:
    held = sockets()
    client = await begun(path, held)
    assert client._process is not None
    first = client._process.pid
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(20):
        while client._process.pid == first:
            await asyncio.sleep(0.05)
    await told(client)
    where = held.udp.getsockname()
    client.disconnect()
    held.close()
    assert await ask(where, "web") == ["10.0.1.130"]


async def test_another_version_hands_over_and_ends_when_its_successor_knows_all(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = sockets()
    where = held.udp.getsockname()
    old = await begun(path, held)
    process = old._process
    assert process is not None
    old.disconnect()
    held.close()
    monkeypatch.setattr("overlay.dns.standin_client.VERSION", "another")

    new = StandInClient(path)
    back = await new.take_over()
    new.serve(sandbox(), OWN, False, back["c1"])
    new.use_names({"n1": index(ingress_snapshot())})
    new.start()
    async with asyncio.timeout(20):
        await process.wait()
        await told(new)
    assert await ask(where, "web") == ["10.0.1.130"]
    assert new._process is not None
    assert new._process.pid != process.pid
    back["c1"].close()
    new.disconnect()


async def test_a_question_that_argosyd_does_not_read_is_answered_by_the_stand_in(
    path: Path,
) -> None:
    held = sockets()
    client = await begun(path, held)
    where = held.udp.getsockname()
    assert await ask(where, "web") == ["10.0.1.130"]
    assert await ask_tcp(where, "web") == ["10.0.1.130"]

    server = serve(client, held)
    async with asyncio.timeout(20):
        while await ask(where, "web") != ["10.0.9.9"]:  # both may read until argosyd says that it is there
            await asyncio.sleep(0.05)
    client.disconnect()
    server.close()


async def test_what_argosyd_had_forwarded_and_not_answered_is_forwarded_by_the_stand_in(path: Path) -> None:
    class Silent(asyncio.DatagramProtocol):
        asked: asyncio.Queue[bytes] = asyncio.Queue()

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            self.asked.put_nowait(data)
            if self.asked.qsize() == 1:
                return  # argosyd's
            transport.sendto(dns_message.response(dns_message.parse_query(data), 0, ["192.0.2.80"]), addr)

    upstream = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
    loop = asyncio.get_running_loop()
    transport, silent = await loop.create_datagram_endpoint(Silent, local_addr=(upstream, 53))
    held = sockets()
    client = await begun(path, held, upstream)
    server = serve(client, held, upstream)
    asked = asyncio.ensure_future(ask(held.udp.getsockname(), "example.org"))
    async with asyncio.timeout(20):
        while not silent.asked.qsize():
            await asyncio.sleep(0.01)

    client.disconnect()
    server.close()

    assert await asked == ["192.0.2.80"]
    transport.close()


async def test_a_new_stand_in_does_not_answer_before_the_names_are_known(path: Path) -> None:
    """It would forward what is ours, and a name server that does not know it denies it."""
    held = sockets()
    client = StandInClient(path)
    assert await client.take_over() == {}
    client.serve(sandbox(), OWN, False, held)
    client.start()
    asked = asyncio.ensure_future(ask(held, "web", 20))
    await asyncio.sleep(0.3)
    assert client._process is None
    client.use_names({"n1": index(ingress_snapshot())})
    assert await asked == ["10.0.1.130"]
    client.disconnect()
    held.close()


async def test_one_that_another_has_replaced_ends(path: Path) -> None:
    """argosyd gave it up for lost: what it knows is old."""
    held = sockets()
    client = await begun(path, held)
    process = client._process
    assert process is not None
    client._disconnect()
    client._changed.set()
    async with asyncio.timeout(20):
        await process.wait()
        await told(client)
    client.disconnect()
    held.close()


async def test_a_sandbox_is_let_go_when_its_namespace_is_no_longer_mounted(path: Path, tmp_path: Path) -> None:
    held = sockets()
    client = StandInClient(path)
    assert await client.take_over() == {}
    (tmp_path / "c1").touch()
    client.serve(sandbox(), OWN, False, held, str(tmp_path / "c1"))
    client.use_names({"n1": index(ingress_snapshot())})
    client.start()
    await told(client)
    process = client._process
    assert process is not None
    client.disconnect()
    held.close()
    async with asyncio.timeout(20):
        await process.wait()


async def test_one_that_does_not_hand_over_is_killed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = sockets()
    first = await begun(path, held)
    assert await ask(held, "web") == ["10.0.1.130"]  # it is up
    process = first._process
    assert process is not None
    first.disconnect()
    os.kill(process.pid, signal.SIGSTOP)
    monkeypatch.setattr("overlay.dns.standin_client.TIMEOUT", 0.3)

    assert await StandInClient(path).take_over() == {}

    async with asyncio.timeout(20):
        assert await process.wait() == -signal.SIGKILL
    held.close()


async def test_it_ends_with_its_last_sandbox_when_argosyd_is_gone(path: Path) -> None:
    held = sockets()
    client = await begun(path, held)
    process = client._process
    assert process is not None
    client.drop("c1")
    await told(client)
    client.disconnect()
    held.close()
    async with asyncio.timeout(20):
        await process.wait()


def test_it_needs_little() -> None:
    """Not asyncio, nor anything that is installed: it stays small."""
    script = Path(standin.__file__).read_text()
    assert "import asyncio" not in script
    heavy = {"asyncio", "msgspec", "dataclasses", "typing", "inspect", "ssl"}
    root = Path(standin.__file__).parents[2]
    code = (
        f"import sys; sys.path.insert(0, {str(root)!r}); import overlay.dns.standin; print({heavy} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
