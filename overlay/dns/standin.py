"""The stand-in: a small process that answers containers' DNS questions while argosyd does not.

It has a copy of every sandbox's two DNS sockets, and the names (standin_client.py). As long as argosyd serves the
sockets, the stand-in only checks every LATE seconds whether a question waits. A question that still waits at the next
check is answered here: argosyd hangs, or is being killed and has not ended yet. When the connection to argosyd ends,
for whatever reason, the stand-in serves all sockets at once, and forwards again what argosyd had forwarded but not
answered. The next argosyd connects, gets the sockets, and sends `passive` when it has the names itself; until then the
stand-in goes on. Both may read at the same time (question_queue.py).

It ends on `end`, when it has no sandbox and no connection, and when its path has another listener or none. It drops a
sandbox whose namespace is unmounted, whether argosyd sends `drop` or not.

Run as a program by its path, with the fd of its listening socket, the inode of that socket's file, and the host's
resolv.conf. It uses few modules of the standard library and nothing else: it runs all the time on every host with
containers (6 MiB).
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

    from overlay.plan.dns_zone import NetworkNames

LATE = 0.2
"""Seconds after which a question that argosyd has not read is answered here."""
CHECK = 5.0
"""Seconds between two checks for unmounted namespaces."""
FINISH = 5.0
"""Seconds that running questions get after `end`."""


class ServedSandbox:
    """One sandbox: its sockets and its resolver."""

    def __init__(self, facts: dict[str, Any], udp: socket.socket, tcp: socket.socket, resolv_conf: str) -> None:
        self.udp, self.tcp = udp, tcp
        self.resolver = Resolver(Caller(facts), facts["own"], facts["internal"])
        self._servers = facts["servers"]
        self._namespace = facts["namespace"]
        self._resolv_conf = resolv_conf

    def servers(self) -> list[str]:
        """The servers for forwarded questions."""
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
        """Send an answer; if it is lost the client repeats its question."""
        try:
            self.udp.sendto(answer, client)
        except OSError:
            pass

    def close(self) -> None:
        """Close this process's sockets; argosyd may still have its own."""
        self.udp.close()
        self.tcp.close()


class StandIn:
    """The process."""

    def __init__(self, listener: socket.socket, inode: int, resolv_conf: str) -> None:
        self._listener = listener
        listener.listen(BACKLOG)  # again: SO_PEERCRED names the process that called listen last
        self._resolv_conf = resolv_conf
        self._path = listener.getsockname()
        self._inode = inode
        self._sandboxes: dict[str, ServedSandbox] = {}
        self._names: dict[str, NetworkNames] = {}
        self._pending: PendingQuestions | None = None
        self._control: Frames | None = None
        self._poll = select.poll()
        self._readers: dict[int, Callable[[], object]] = {}
        self._serving = True
        self._argosyd_serves = False
        """Whether argosyd has sent `passive`: it serves the sockets itself."""
        self._late_poll = select.poll()
        self._sockets: dict[int, socket.socket] = {}
        """The sockets of all sandboxes, by fd."""
        self._waited: dict[int, object] = {}
        """The oldest waiting question of each socket at the last check."""
        self._late_check_at = self._check_at = 0.0
        self._workers = Workers()
        self._watch(listener, self._accept)

    def run(self) -> None:
        """Serve until no argosyd and no sandbox needs the stand-in."""
        while True:
            for fd, _ in self._poll.poll((LATE if self._argosyd_serves else CHECK) * 1000):
                if (reader := self._readers.get(fd)) is not None:
                    reader()
            now = time.monotonic()
            if self._argosyd_serves and not self._serving and now >= self._late_check_at:
                self._late_check_at = now + LATE
                self._answer_late_questions()
            if now >= self._check_at:
                self._check_at = now + CHECK
                for id in [id for id, sandbox in self._sandboxes.items() if sandbox.is_gone()]:
                    self._drop(id)
            if _inode(self._path) != self._inode or not (self._sandboxes or self._control):
                return

    # ── argosyd ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        while self._control is not None:
            if not self._read_control():  # messages of the former connection count
                self._lose_argosyd()
        connection.settimeout(TIMEOUT)
        try:
            connection.sendall(frame({"version": VERSION, "rooms": len(self._sandboxes)}))
            for id, sandbox in self._sandboxes.items():
                socket.send_fds(connection, [frame({"room": id})], [sandbox.udp.fileno(), sandbox.tcp.fileno()])
            connection.sendall(frame({"done": True}))
        except OSError:
            pass  # it has gone already; its messages are read all the same
        connection.setblocking(False)
        self._control = Frames(connection)
        self._watch(connection, self._read_control)

    def _read_control(self) -> bool:
        """Handle argosyd's messages; returns whether there were any."""
        control = self._control
        if control is None:
            return False
        messages = control.read()
        for message in messages or ():
            self._take(message, control)
        if messages and self._argosyd_serves:
            self._pause()
        if messages is None:
            self._lose_argosyd()
        return bool(messages)

    def _take(self, message: dict[str, Any], control: Frames) -> None:
        if "room" in message:
            self._add(message["room"], ServedSandbox(message["facts"], *control.take_sockets(), self._resolv_conf))
        elif "drop" in message:
            self._drop(message["drop"])
        elif "names" in message:
            for id, facts in message["names"].items():
                if facts is None:
                    self._names.pop(id, None)
                else:
                    self._names[id] = names_of(id, facts)
            for sandbox in self._sandboxes.values():
                sandbox.resolver.use_names(self._names)
        elif "memory" in message:
            fd = control.take_fd()
            self._pending = PendingQuestions(fd)
            os.close(fd)
        elif "passive" in message:
            self._argosyd_serves = True
        elif "end" in message:
            self._workers.finish(FINISH)
            raise SystemExit

    def _add(self, id: str, sandbox: ServedSandbox) -> None:
        self._drop(id)
        self._sandboxes[id] = sandbox
        sandbox.resolver.use_names(self._names)
        for one in (sandbox.udp, sandbox.tcp):
            self._sockets[one.fileno()] = one
            self._late_poll.register(one, select.POLLIN)
        if self._serving:
            self._serve(sandbox)

    def _drop(self, id: str) -> None:
        if (sandbox := self._sandboxes.pop(id, None)) is not None:
            for one in (sandbox.udp, sandbox.tcp):
                self._unwatch(one)
                self._late_poll.unregister(one)
                del self._sockets[one.fileno()]
            sandbox.close()

    def _lose_argosyd(self) -> None:
        if self._control is None:
            return
        self._unwatch(self._control.connection)
        self._control.close()
        self._control, self._argosyd_serves = None, False
        if not self._serving:
            say(f"argosyd is away: names of {len(self._sandboxes)} sandboxes are answered by the stand-in")
        self._begin()
        self._take_up_pending()

    def _begin(self) -> None:
        if not self._serving:
            self._serving = True
            for sandbox in self._sandboxes.values():
                self._serve(sandbox)

    def _pause(self) -> None:
        if self._serving:
            self._serving = False
            self._waited = {}
            for sandbox in self._sandboxes.values():
                self._unwatch(sandbox.udp)
                self._unwatch(sandbox.tcp)

    def _answer_late_questions(self) -> None:
        """Start serving, until argosyd's next message, if a question of the last check still waits."""
        waiting = {fd: question_queue.first(self._sockets[fd]) for fd, _ in self._late_poll.poll(0)}
        if any(fd in self._waited and self._waited[fd] == what for fd, what in waiting.items()):
            self._begin()
        self._waited = {**waiting}

    # ── containers ───────────────────────────────────────────────────────────────────────────────────────────────

    def _serve(self, sandbox: ServedSandbox) -> None:
        self._watch(sandbox.udp, lambda: self._read_udp(sandbox))
        self._watch(sandbox.tcp, lambda: self._read_tcp(sandbox))

    def _read_udp(self, sandbox: ServedSandbox) -> None:
        question_queue.serve(sandbox.udp, lambda data, client: self._respond(sandbox, data, client))

    def _respond(self, sandbox: ServedSandbox, data: bytes, client: tuple[str, int]) -> None:
        if answer := sandbox.resolver.cached(data) or self._answer(sandbox, data, client):
            sandbox.send(answer, client)

    def _answer(self, sandbox: ServedSandbox, data: bytes, client: tuple[str, int]) -> bytes | None:
        try:
            query = dns_message.parse_query(data)
        except Malformed:
            return dns_message.refuse(data, dns_message.FORMERR)
        answers = [dns_message.truncate(answer, query) for answer in sandbox.resolver.answer(query)]
        if answers:
            sandbox.resolver.remember(data, answers)
            return answers[0]

        def forward() -> None:
            sandbox.send(dns_message.truncate(ask(data, query, sandbox.servers(), tcp=False), query), client)

        self._workers.start(forward)
        return None

    def _take_up_pending(self) -> None:
        """Forward again what argosyd had forwarded but not answered when it ended."""
        pending, self._pending = self._pending, None
        if pending is not None:
            for id, data, client in pending.left():
                if sandbox := self._sandboxes.get(id):
                    self._respond(sandbox, data, client)
            pending.close()

    def _read_tcp(self, sandbox: ServedSandbox) -> None:
        try:
            connection, _ = sandbox.tcp.accept()
        except OSError:
            return
        connection.settimeout(TIMEOUT)
        if not self._workers.start(lambda: converse(sandbox, connection)):
            connection.close()

    def _watch(self, what: socket.socket, reader: Callable[[], object]) -> None:
        self._readers[what.fileno()] = reader
        self._poll.register(what, select.POLLIN)

    def _unwatch(self, what: socket.socket) -> None:
        if self._readers.pop(what.fileno(), None) is not None:
            self._poll.unregister(what)


def converse(sandbox: ServedSandbox, connection: socket.socket) -> None:
    """Answer one client over TCP until it disconnects."""
    with connection:
        try:
            while data := received(connection):
                query = dns_message.parse_query(data)
                answers = sandbox.resolver.answer(query)
                answer = answers[0] if answers else ask(data, query, sandbox.servers(), tcp=True)
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
