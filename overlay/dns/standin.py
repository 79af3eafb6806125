"""The stand-in: a small process that answers containers' names while argosyd does not.

It holds a copy of every sandbox's two DNS sockets and what names mean there (standin_client.py). As long as argosyd
serves them it only looks, every LATE, whether a question waits in one; a question that still waits at the next look
is answered here, for then argosyd hangs, or is being killed and cannot die yet. When the connection to argosyd ends,
however argosyd ended, the stand-in serves all of them at once, and forwards anew what argosyd had forwarded and not
answered. The next argosyd connects, gets the sockets, and says when it knows the names itself; until then the stand-in
goes on. Both may read at the same time (question_queue.py).

It ends when it is told to, when it has nothing to serve and nobody is connected, and when another one listens at its
path, or none. A sandbox is let go when its namespace is no longer held, whether argosyd says so or not.

Run as a program by its path, with the fd of its listening socket, the inode of that socket's file, and the host's
resolv.conf; the standard library only, and little of that: it is there all the time on every host with containers
(6 MiB).
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from overlay.dns import dns_message, question_queue
from overlay.dns.dns_message import Malformed
from overlay.dns.pending_questions import PendingQuestions
from overlay.dns.resolver import Resolver
from overlay.dns.standin_forwarder import TIMEOUT, Workers, ask, host_servers, received
from overlay.dns.standin_messages import BACKLOG, VERSION, Caller, Frames, frame, names_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from overlay.plan.dns_zone import Names

LATE = 0.2
"""Seconds after which a question that argosyd has not read is answered here."""
CHECK = 5.0
"""Seconds between two checks of whether it is still wanted."""
FINISH = 5.0
"""Seconds that questions under way have when it is told to end."""


class Room:
    """One sandbox: who it is, and its sockets."""

    def __init__(self, facts: dict[str, Any], udp: socket.socket, tcp: socket.socket, resolv_conf: str) -> None:
        self.udp, self.tcp = udp, tcp
        self.resolver = Resolver(Caller(facts), facts["own"], facts["internal"])
        self._servers = facts["servers"]
        self._namespace = facts["namespace"]
        self._resolv_conf = resolv_conf

    def servers(self) -> list[str]:
        """Where to forward to."""
        return self._servers or host_servers(self._resolv_conf)

    def is_gone(self) -> bool:
        """Whether its namespace is no longer mounted where it was."""
        if not self._namespace:
            return False
        try:
            return os.stat(self._namespace).st_dev == os.stat(os.path.dirname(self._namespace)).st_dev
        except OSError:
            return True

    def send(self, answer: bytes, client: tuple[str, int]) -> None:
        """Answer; a client that does not get it asks again."""
        try:
            self.udp.sendto(answer, client)
        except OSError:
            pass

    def close(self) -> None:
        """Let go of it; argosyd may have it still."""
        self.udp.close()
        self.tcp.close()


class StandIn:
    """The process."""

    def __init__(self, listener: socket.socket, inode: int, resolv_conf: str) -> None:
        self._listener = listener
        listener.listen(BACKLOG)  # again: SO_PEERCRED tells who did last, and that is to be this process
        self._resolv_conf = resolv_conf
        self._path = listener.getsockname()
        self._inode = inode
        self._rooms: dict[str, Room] = {}
        self._names: dict[str, Names] = {}
        self._pending: PendingQuestions | None = None
        self._control: Frames | None = None
        self._poll = select.poll()
        self._readers: dict[int, Callable[[], object]] = {}
        self._serving = True
        self._relieved = False
        """Whether argosyd has said that it serves."""
        self._look = select.poll()
        self._sockets: dict[int, socket.socket] = {}
        """Of all sandboxes, by their fds."""
        self._waited: dict[int, object] = {}
        """What waited in them at the last look."""
        self._look_at = self._check_at = 0.0
        self._workers = Workers()
        self._watch(listener, self._accept)

    def run(self) -> None:
        """Until nobody wants it any more."""
        while True:
            for fd, _ in self._poll.poll((LATE if self._relieved else CHECK) * 1000):
                if (reader := self._readers.get(fd)) is not None:
                    reader()
            now = time.monotonic()
            if self._relieved and not self._serving and now >= self._look_at:
                self._look_at = now + LATE
                self._look_for_late_questions()
            if now >= self._check_at:
                self._check_at = now + CHECK
                for id in [id for id, room in self._rooms.items() if room.is_gone()]:
                    self._drop(id)
            if _inode(self._path) != self._inode or not (self._rooms or self._control):
                return

    # ── argosyd ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        while self._control is not None:
            if not self._read_control():  # what the former one said counts
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
        self._watch(connection, self._read_control)

    def _read_control(self) -> bool:
        """Take in what argosyd says; whether it said something."""
        control = self._control
        if control is None:
            return False
        messages = control.read()
        for message in messages or ():
            self._take(message, control)
        if messages and self._relieved:
            self._pause()
        if messages is None:
            self._lose()
        return bool(messages)

    def _take(self, message: dict[str, Any], control: Frames) -> None:
        if "room" in message:
            self._add(message["room"], Room(message["facts"], *control.take_sockets(), self._resolv_conf))
        elif "drop" in message:
            self._drop(message["drop"])
        elif "names" in message:
            for id, facts in message["names"].items():
                if facts is None:
                    self._names.pop(id, None)
                else:
                    self._names[id] = names_of(id, facts)
            for room in self._rooms.values():
                room.resolver.know(self._names)
        elif "memory" in message:
            fd = control.take_fd()
            self._pending = PendingQuestions(fd)
            os.close(fd)
        elif "passive" in message:
            self._relieved = True
        elif "end" in message:
            self._workers.finish(FINISH)
            raise SystemExit

    def _add(self, id: str, room: Room) -> None:
        self._drop(id)
        self._rooms[id] = room
        room.resolver.know(self._names)
        for one in (room.udp, room.tcp):
            self._sockets[one.fileno()] = one
            self._look.register(one, select.POLLIN)
        if self._serving:
            self._serve(room)

    def _drop(self, id: str) -> None:
        if (room := self._rooms.pop(id, None)) is not None:
            for one in (room.udp, room.tcp):
                self._unwatch(one)
                self._look.unregister(one)
                del self._sockets[one.fileno()]
            room.close()

    def _lose(self) -> None:
        if self._control is None:
            return
        self._unwatch(self._control.connection)
        self._control.close()
        self._control, self._relieved = None, False
        if not self._serving:
            say(f"argosyd is away: names of {len(self._rooms)} sandboxes are answered by the stand-in")
        self._begin()
        self._take_up_pending()

    def _begin(self) -> None:
        if not self._serving:
            self._serving = True
            for room in self._rooms.values():
                self._serve(room)

    def _pause(self) -> None:
        if self._serving:
            self._serving = False
            self._waited = {}
            for room in self._rooms.values():
                self._unwatch(room.udp)
                self._unwatch(room.tcp)

    def _look_for_late_questions(self) -> None:
        """Serve until argosyd says something, if what waited at the last look waits still."""
        waiting = {fd: question_queue.first(self._sockets[fd]) for fd, _ in self._look.poll(0)}
        if any(fd in self._waited and self._waited[fd] == what for fd, what in waiting.items()):
            self._begin()
        self._waited = {**waiting}

    # ── containers ───────────────────────────────────────────────────────────────────────────────────────────────

    def _serve(self, room: Room) -> None:
        self._watch(room.udp, lambda: self._read_udp(room))
        self._watch(room.tcp, lambda: self._read_tcp(room))

    def _read_udp(self, room: Room) -> None:
        question_queue.serve(room.udp, lambda data, client: self._respond(room, data, client))

    def _respond(self, room: Room, data: bytes, client: tuple[str, int]) -> None:
        if answer := room.resolver.quick(data) or self._answer(room, data, client):
            room.send(answer, client)

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
            room.send(dns_message.truncate(ask(data, query, room.servers(), tcp=False), query), client)

        self._workers.start(forward)
        return None

    def _take_up_pending(self) -> None:
        """Forward what argosyd had forwarded when it ended, and not answered."""
        pending, self._pending = self._pending, None
        if pending is not None:
            for id, data, client in pending.left():
                if room := self._rooms.get(id):
                    self._respond(room, data, client)
            pending.close()

    def _read_tcp(self, room: Room) -> None:
        try:
            connection, _ = room.tcp.accept()
        except OSError:
            return
        connection.settimeout(TIMEOUT)
        if not self._workers.start(lambda: converse(room, connection)):
            connection.close()

    def _watch(self, what: socket.socket, reader: Callable[[], object]) -> None:
        self._readers[what.fileno()] = reader
        self._poll.register(what, select.POLLIN)

    def _unwatch(self, what: socket.socket) -> None:
        if self._readers.pop(what.fileno(), None) is not None:
            self._poll.unregister(what)


def converse(room: Room, connection: socket.socket) -> None:
    """Answer one client over TCP until it goes."""
    with connection:
        try:
            while data := received(connection):
                query = dns_message.parse_query(data)
                answers = room.resolver.answer(query)
                answer = answers[0] if answers else ask(data, query, room.servers(), tcp=True)
                connection.sendall(len(answer).to_bytes(2, "big") + answer)
        except (OSError, Malformed):
            pass


def say(what: str) -> None:
    """A line in argosyd's log."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f'timestamp={now} level=info event="{what}"', file=sys.stderr, flush=True)


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


if __name__ == "__main__":
    StandIn(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), sys.argv[3]).run()
