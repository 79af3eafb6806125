"""The stand-in: a small process that answers containers' names while argosyd is away.

It holds a copy of every sandbox's two DNS sockets and what names mean there, and does nothing while argosyd serves them
(standin_client.py). When the connection to argosyd ends, however argosyd ended, or argosyd says nothing for SILENCE (it
hangs, or is killed and cannot die yet), it serves the sockets; what came in between waits in them. The next argosyd
connects, gets the sockets, and says when it knows the names itself; until then the stand-in goes on. It ends when it is
told to, when it has nothing to serve and nobody is connected, and when its socket's path is gone.

Run as a program by its path, with the fd of its listening socket and the host's resolv.conf; the standard library only,
and little of that: it is there all the time on every host with containers (6 MiB). What is not ours is forwarded by
threads.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import threading
import time
from collections import deque

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from overlay.dns import dns_message
from overlay.dns.dns_message import Malformed, Query
from overlay.dns.resolver import Resolver
from overlay.plan.dns_zone import Names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

VERSION = "1"
"""Of what is said over the socket. Another version of argosyd takes the sockets and starts a stand-in of its own."""
LENGTH = struct.Struct("!I")
MOST_FRAME = 64 << 20
TIMEOUT = 2.0
"""Seconds that argosyd, a nameserver or a client may take."""
THREADS = 64
"""Questions and TCP clients that are waited for at once; more are dropped, and asked again."""
BEAT = 1.0
"""Seconds after which argosyd says that it is there, when it has nothing else to say."""
SILENCE = 2.5
"""Seconds without a word of argosyd after which it is away."""
LOOK = 5.0
"""Seconds between two looks at whether it is still wanted."""


class Place:
    """A sandbox's place on a network, as zone.py wants it."""

    def __init__(self, network_id: str, aliases: Sequence[str]) -> None:
        self.network_id, self.aliases = network_id, aliases


class Claim:
    """A service, as zone.py wants it."""

    def __init__(self, name: str, service_id: str, vip: str) -> None:
        self.name, self.service_id, self.vip = name, service_id, vip


class Caller:
    """A sandbox, as zone.py wants it."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.task_name, self.hostname = facts["task_name"], facts["hostname"]
        self.interfaces = [Place(network, aliases) for network, aliases in facts["interfaces"]]


class Room:
    """One sandbox: who it is, and its sockets."""

    def __init__(self, facts: dict[str, Any], udp: socket.socket, tcp: socket.socket) -> None:
        self.facts, self.udp, self.tcp = facts, udp, tcp
        self.resolver = Resolver(Caller(facts), facts["own"], facts["internal"])
        self.servers: Sequence[str] = facts["servers"]

    def close(self) -> None:
        """Let go of it; argosyd may have it still."""
        self.udp.close()
        self.tcp.close()


def names_of(id: str, told: dict[str, Any]) -> Names:
    """A network's names, as they were told."""
    services = {name: [Claim(*claim) for claim in claims] for name, claims in told["services"].items()}
    ready = {key: tuple(addresses) for key, addresses in told["ready"].items()}
    tasks = {key: tuple(addresses) for key, addresses in told["tasks"].items()}
    return Names(id, services, ready, tasks, told["pointers"])


class Frames:
    """Messages from a stream socket: a length, JSON, and file descriptors that come with it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.fds: deque[int] = deque()
        self._data = bytearray()

    def read(self) -> list[dict[str, Any]] | None:
        """Messages that have come; none when there are none yet, None when the other side is gone."""
        found: list[dict[str, Any]] | None = []
        while found == []:
            try:
                data, fds, _flags, _address = socket.recv_fds(self.connection, 1 << 18, 64)
            except (BlockingIOError, InterruptedError):
                return []
            except OSError:
                return None
            self.fds.extend(fds)
            if not data:
                return None
            self._data += data
            found = self._complete()
        return found

    def _complete(self) -> list[dict[str, Any]] | None:
        found = []
        while len(self._data) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._data)
            if length > MOST_FRAME:
                return None
            if len(self._data) < LENGTH.size + length:
                break
            found.append(json.loads(bytes(self._data[LENGTH.size : LENGTH.size + length])))
            del self._data[: LENGTH.size + length]
        return found

    def take_sockets(self) -> tuple[socket.socket, socket.socket]:
        """The two sockets that came with a sandbox."""
        udp, tcp = socket.socket(fileno=self.fds.popleft()), socket.socket(fileno=self.fds.popleft())
        udp.setblocking(False)
        tcp.setblocking(False)
        return udp, tcp

    def close(self) -> None:
        """End it; sockets that nobody took are closed."""
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()
        self.connection.close()


def frame(message: dict[str, Any]) -> bytes:
    """A message as it is sent."""
    data = json.dumps(message, separators=(",", ":")).encode()
    return LENGTH.pack(len(data)) + data


class StandIn:
    """The process."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._path = listener.getsockname()
        self._rooms: dict[str, Room] = {}
        self._names: dict[str, Names] = {}
        self._control: Frames | None = None
        self._poll = select.poll()
        self._readers: dict[int, Callable[[], object]] = {}
        self._active = True
        self._relieved = False
        """Whether argosyd has said that it serves."""
        self._heard = time.monotonic()
        self._threads = threading.Semaphore(THREADS)
        self._watch(listener, self._accept)

    def run(self) -> None:
        """Until nobody wants it any more."""
        while True:
            for fd, _ in self._poll.poll((BEAT if self._relieved else LOOK) * 1000):
                if (reader := self._readers.get(fd)) is not None:
                    reader()
            if self._relieved and time.monotonic() - self._heard > SILENCE:
                self._begin("argosyd does not move")
            if not os.path.exists(self._path) or not (self._rooms or self._control):
                return

    # ── argosyd ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        while self._control is not None:
            if not self._heed():  # what the former one said counts
                self._lose()
        connection.settimeout(TIMEOUT)
        try:
            connection.sendall(frame({"version": VERSION, "rooms": len(self._rooms)}))
            for id, room in self._rooms.items():
                socket.send_fds(connection, [frame({"room": id})], [room.udp.fileno(), room.tcp.fileno()])
            connection.sendall(frame({"done": True}))
        except OSError:
            pass  # it is gone already; what it said is read all the same
        connection.setblocking(False)
        self._control = Frames(connection)
        self._watch(connection, self._heed)

    def _heed(self) -> bool:
        """Take in what argosyd says; whether it said something."""
        control = self._control
        if control is None:
            return False
        messages = control.read()
        for message in messages or ():
            self._take(message, control)
        if messages:
            self._heard = time.monotonic()
            if self._relieved:
                self._pause()
        if messages is None:
            self._lose()
        return bool(messages)

    def _take(self, message: dict[str, Any], control: Frames) -> None:
        if "room" in message:
            self._drop(message["room"])
            room = self._rooms[message["room"]] = Room(message["facts"], *control.take_sockets())
            room.resolver.know(self._names)
            if self._active:
                self._serve(room)
        elif "drop" in message:
            self._drop(message["drop"])
        elif "names" in message:
            for id, told in message["names"].items():
                if told is None:
                    self._names.pop(id, None)
                else:
                    self._names[id] = names_of(id, told)
            for room in self._rooms.values():
                room.resolver.know(self._names)
        elif "passive" in message:
            self._relieved = True
        elif "end" in message:
            raise SystemExit

    def _lose(self) -> None:
        if self._control is None:
            return
        self._unwatch(self._control.connection)
        self._control.close()
        self._control, self._relieved = None, False
        self._begin("argosyd is away")

    def _begin(self, why: str) -> None:
        if not self._active:
            self._active = True
            say(f"{why}: names of {len(self._rooms)} sandboxes are answered by the stand-in")
            for room in self._rooms.values():
                self._serve(room)

    def _pause(self) -> None:
        if self._active:
            self._active = False
            say("argosyd answers names itself")
            for room in self._rooms.values():
                self._unwatch(room.udp)
                self._unwatch(room.tcp)

    def _drop(self, id: str) -> None:
        if (room := self._rooms.pop(id, None)) is not None:
            self._unwatch(room.udp)
            self._unwatch(room.tcp)
            room.close()

    # ── containers ───────────────────────────────────────────────────────────────────────────────────────────────

    def _serve(self, room: Room) -> None:
        """argosyd is away."""
        self._watch(room.udp, lambda: self._read_udp(room))
        self._watch(room.tcp, lambda: self._read_tcp(room))

    def _read_udp(self, room: Room) -> None:
        for _ in range(64):
            try:
                data, client = room.udp.recvfrom(4096)
            except OSError:
                return
            if answer := room.resolver.quick(data) or self._answer(room, data, client):
                send(room.udp, answer, client)

    def _answer(self, room: Room, data: bytes, client: tuple[str, int]) -> bytes | None:
        try:
            query = dns_message.parse_query(data)
        except Malformed:
            return dns_message.refuse(data, dns_message.FORMERR)
        answers = [dns_message.truncate(answer, query) for answer in room.resolver.answer(query)]
        if answers:
            room.resolver.remember(data, answers)
            return answers[0]

        def forward() -> None:
            answer = ask(data, query, room.servers or host_servers(), tcp=False)
            send(room.udp, dns_message.truncate(answer, query), client)

        self._start(forward)
        return None

    def _read_tcp(self, room: Room) -> None:
        try:
            connection, _ = room.tcp.accept()
        except OSError:
            return
        connection.settimeout(TIMEOUT)
        if not self._start(lambda: converse(room, connection)):
            connection.close()

    def _start(self, work: Callable[[], None]) -> bool:
        if not self._threads.acquire(blocking=False):
            return False

        def worker() -> None:
            try:
                work()
            finally:
                self._threads.release()

        threading.Thread(target=worker, daemon=True).start()
        return True

    def _watch(self, what: socket.socket, reader: Callable[[], object]) -> None:
        self._readers[what.fileno()] = reader
        self._poll.register(what, select.POLLIN)

    def _unwatch(self, what: socket.socket) -> None:
        if self._readers.pop(what.fileno(), None) is not None:
            self._poll.unregister(what)


def say(what: str) -> None:
    """A line in argosyd's log."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f'timestamp={now} level=info event="{what}"', file=sys.stderr, flush=True)


def send(udp: socket.socket, answer: bytes, client: tuple[str, int]) -> None:
    """Answer; a client that does not get it asks again."""
    try:
        udp.sendto(answer, client)
    except OSError:
        pass


def converse(room: Room, connection: socket.socket) -> None:
    """Answer one client over TCP until it goes."""
    with connection:
        try:
            while data := received(connection):
                query = dns_message.parse_query(data)
                answers = room.resolver.answer(query)
                answer = answers[0] if answers else ask(data, query, room.servers or host_servers(), tcp=True)
                connection.sendall(len(answer).to_bytes(2, "big") + answer)
        except (OSError, Malformed):
            pass


def ask(data: bytes, query: Query, servers: Sequence[str], tcp: bool) -> bytes:
    """The answer of the first server that gives one; SERVFAIL when none does."""
    for server in servers:
        id = os.urandom(2)
        try:
            answer = b"" if tcp else by_udp(id + data[2:], query, server)
            if tcp or dns_message.is_truncated(answer):
                answer = by_tcp(id + data[2:], query, server)
        except OSError:
            continue
        if answer:
            return query.id.to_bytes(2, "big") + answer[2:]
    return dns_message.response(query, dns_message.SERVFAIL)


def by_udp(question: bytes, query: Query, server: str) -> bytes:
    """One server's answer, which may be truncated. Raises OSError."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.settimeout(TIMEOUT)
        asking.connect((server, 53))
        asking.send(question)
        while True:
            answer = asking.recv(65535)
            if dns_message.is_answer(answer, int.from_bytes(question[:2], "big"), query.section):
                return answer


def by_tcp(question: bytes, query: Query, server: str) -> bytes:
    """The same over TCP; empty when it is no answer. Raises OSError."""
    with socket.create_connection((server, 53), TIMEOUT) as asking:
        asking.sendall(len(question).to_bytes(2, "big") + question)
        answer = received(asking)
    return answer if dns_message.is_answer(answer, int.from_bytes(question[:2], "big"), query.section) else b""


def received(connection: socket.socket) -> bytes:
    """One message with its length before it; empty at the end. Raises OSError."""
    head = exactly(connection, 2)
    return exactly(connection, int.from_bytes(head, "big")) if head else b""


def exactly(connection: socket.socket, size: int) -> bytes:
    """So many bytes; empty when the other side ends before."""
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            return b""
        data += part
    return data


def host_servers() -> list[str]:
    """The nameservers of the host; its resolv.conf is the second argument."""
    try:
        with open(sys.argv[2], encoding="utf-8", errors="replace") as file:
            lines = [line.split() for line in file]
    except OSError:
        return []
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]


if __name__ == "__main__":
    StandIn(socket.socket(fileno=int(sys.argv[1]))).run()
