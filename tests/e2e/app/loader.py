"""Steady load on many ways at once that knows of each request what became of it; none is tried twice.

A way is "name=host:port". Over each way go short connections, which the server ends, and kept ones, used until it does.
Requests are begun at an even rate, while not too many are under way. The tally is told, as JSON, on a port of its own.
Usage: loader.py RATE KEPT PORT WAY...
"""

import errno
import json
import select
import signal
import socket
import sys
import time
from itertools import count

TIMEOUT = 5.0
"""Seconds after which a request is lost."""
SLOW = 0.9
"""Seconds from which an answer is counted as late: a first packet was sent twice."""
MOST = 64
"""Requests under way at once."""
TOLD = 300
"""Failures that are told one by one."""
SHORT = b"GET / HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n"
KEEP = b"GET / HTTP/1.1\r\nHost: load\r\n\r\n"
RESOLVE = 10.0
"""Seconds that a name has to appear."""


class Request:
    """A request under way, or (idle) a kept connection between two."""

    __slots__ = ("asked", "began", "connected", "kept", "sock", "state", "way")

    def __init__(self, sock: socket.socket, way: str, kept: bool, began: float) -> None:
        self.sock, self.way, self.kept, self.began = sock, way, kept, began
        self.connected = 0.0
        self.state = "connect"
        self.asked = 0


class Loader:
    """All requests of one process."""

    def __init__(self, ways: dict[str, tuple[str, int]], rate: float, kept: int, port: int) -> None:
        self.ways, self.rate, self.kept = ways, rate, kept
        self.poll = select.epoll()
        self.listener = socket.create_server(("0.0.0.0", port))
        self.listener.setblocking(False)
        self.poll.register(self.listener, select.EPOLLIN)
        self.busy: dict[int, Request] = {}
        self.idle: dict[str, list[Request]] = {way: [] for way in ways}
        self.made = dict.fromkeys(ways, 0)
        self.answered = {f"{way} {kind}": 0 for way in ways for kind in ("short", "kept")}
        self.failures: list[dict[str, object]] = []
        self.late: list[dict[str, object]] = []
        self.failed = self.slow = 0
        self.slowest = 0.0
        self.over = False

    def run(self) -> None:
        """Until SIGTERM, and until what is under way then has ended."""
        signal.signal(signal.SIGTERM, self._stop)
        turns = count()
        names, due, last, swept = list(self.ways), 0.0, time.monotonic(), 0.0
        while not self.over or self.busy:
            now = time.monotonic()
            due, last = min(due + (now - last) * self.rate, MOST), now
            while due >= 1 and len(self.busy) < MOST and not self.over:
                due -= 1
                turn = next(turns)
                self.begin(names[turn // 2 % len(names)], kept=bool(turn % 2))
            for fd, _ in self.poll.poll(0.005):
                if fd == self.listener.fileno():
                    self.tell()
                elif request := self.busy.get(fd):
                    self.advance(fd, request)
                else:
                    self.drop_idle(fd)
            if now - swept > 0.5:
                swept = now
                self.sweep(now)

    def begin(self, way: str, kept: bool) -> None:
        """One more request."""
        now = time.monotonic()
        if kept and self.idle[way]:
            request = self.idle[way].pop(0)
            request.began = now
            self.busy[request.sock.fileno()] = request
            self.send(request)
            return
        if kept and self.made[way] >= self.kept:
            kept = False
        sock = socket.socket()
        sock.setblocking(False)
        request = Request(sock, way, kept, now)
        self.made[way] += kept
        code = sock.connect_ex(self.ways[way])
        self.busy[sock.fileno()] = request
        self.poll.register(sock, select.EPOLLOUT)
        if code not in (0, errno.EINPROGRESS):
            self.end(request, f"connect: {errno.errorcode[code]}")

    def advance(self, fd: int, request: Request) -> None:
        """Something happened to a request."""
        if request.state == "connect":
            if code := request.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self.end(request, f"connect: {errno.errorcode[code]}")
            else:
                request.connected = time.monotonic()
                self.poll.modify(fd, select.EPOLLIN)
                self.send(request)
            return
        try:
            answer = request.sock.recv(4096)
        except OSError as error:
            self.end(request, f"answer: {errno.errorcode[error.errno or 0]}")
            return
        if not answer.startswith(b"HTTP/1.1 200 "):
            self.end(request, "answer: wrong" if answer else "answer: ended without one")
        else:
            self.done(fd, request, b"close" in answer)

    def send(self, request: Request) -> None:
        """Ask, over a connection that stands."""
        request.state = "answer"
        try:
            request.sock.send(KEEP if request.kept else SHORT)
        except OSError as error:
            self.end(request, f"request: {errno.errorcode[error.errno or 0]}")

    def done(self, fd: int, request: Request, last: bool) -> None:
        """It was answered."""
        took = time.monotonic() - request.began
        if took > SLOW:
            self.slow += 1
            if len(self.late) < TOLD:
                self.late.append(self.told(request, "late"))
        self.slowest = max(self.slowest, took)
        self.answered[f"{request.way} {'kept' if request.kept else 'short'}"] += 1
        request.asked += 1
        if last or self.over:
            self.close(fd, request)
        else:
            del self.busy[fd]
            self.idle[request.way].append(request)

    def end(self, request: Request, why: str) -> None:
        """It was not."""
        self.failed += 1
        if len(self.failures) < TOLD:
            self.failures.append(self.told(request, why))
        self.close(request.sock.fileno(), request)

    def told(self, request: Request, why: str) -> dict[str, object]:
        """What is known of a request."""
        try:
            port = request.sock.getsockname()[1]
        except OSError:
            port = 0
        connected = request.connected - request.began if request.connected > request.began else 0.0
        return {
            "way": request.way,
            "kind": "kept" if request.kept else "short",
            "why": why,
            "began": round(request.began, 3),
            "connected": round(connected, 3),
            "took": round(time.monotonic() - request.began, 3),
            "port": port,
            "asked": request.asked,
        }

    def drop_idle(self, fd: int) -> None:
        """The server ended a kept connection between two requests, as it may."""
        for way in self.idle.values():
            for request in way:
                if request.sock.fileno() == fd:
                    way.remove(request)
                    self.close(fd, request)
                    return

    def close(self, fd: int, request: Request) -> None:
        """Let go of a connection."""
        self.busy.pop(fd, None)
        self.made[request.way] -= request.kept
        self.poll.unregister(fd)
        request.sock.close()

    def sweep(self, now: float) -> None:
        """What was not answered in time."""
        for request in [one for one in self.busy.values() if now - one.began > TIMEOUT]:
            self.end(request, f"{request.state}: timeout")

    def tell(self) -> None:
        """The tally, to whoever connects."""
        connection, _ = self.listener.accept()
        tally = {
            "answered": self.answered,
            "failed": self.failed,
            "failures": self.failures,
            "late": self.late,
            "slow": self.slow,
            "slowest": round(self.slowest, 3),
        }
        body = json.dumps(tally).encode()
        connection.settimeout(1)
        try:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        except OSError:
            pass
        connection.close()

    def _stop(self, *_: object) -> None:
        self.over = True


def place(text: str) -> tuple[str, int]:
    """Where a way leads."""
    host, _, port = text.partition(":")
    end = time.monotonic() + RESOLVE
    while True:
        try:
            return socket.gethostbyname(host), int(port)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    found = {name: place(where) for name, _, where in (way.partition("=") for way in sys.argv[4:])}
    Loader(found, float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])).run()
