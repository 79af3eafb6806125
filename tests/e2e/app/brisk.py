"""A web server that spends little on a request and stops as good ones do: no request is lost on SIGTERM.

Told to stop, it takes what is queued, listens no more, ends each connection with the answer to its next request, and
exits when none is left. One loop over epoll; /tmp/ready exists once it listens. Answers with its host's name.
"""

import os
import select
import signal
import socket
import time
from pathlib import Path

PATIENCE = 6.0
"""Seconds that kept connections have to send one more request."""
BODY = socket.gethostname().encode()
KEEP = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
LAST = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(BODY), BODY)


class Brisk:
    """The server and its open connections."""

    def __init__(self, port: int) -> None:
        self.listener = socket.create_server(("0.0.0.0", port), backlog=4096)
        self.listener.setblocking(False)
        self.poll = select.epoll()
        self.poll.register(self.listener, select.EPOLLIN)
        self.open: dict[int, socket.socket] = {}
        self.until = 0.0

    def run(self) -> None:
        """Until SIGTERM, and until what is open then has ended."""
        wake, told = os.pipe()
        os.set_blocking(told, False)
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.set_wakeup_fd(told)
        self.poll.register(wake, select.EPOLLIN)
        Path("/tmp/ready").touch()
        listening = self.listener.fileno()
        while not self.until or (self.open and time.monotonic() < self.until):
            for fd, _ in self.poll.poll(0.5):
                if fd == listening and not self.until:
                    self.accept()
                elif fd == wake:
                    self.stop(wake)
                elif fd in self.open:
                    self.serve(fd)

    def accept(self) -> None:
        """Take all that is queued."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except BlockingIOError:
                return
            except OSError:
                continue  # it was given up while it waited
            connection.setblocking(False)
            self.open[connection.fileno()] = connection
            self.poll.register(connection, select.EPOLLIN)

    def serve(self, fd: int) -> None:
        """Answer a request; they are short enough to come in one piece."""
        connection = self.open[fd]
        try:
            request = connection.recv(4096)
            last = bool(self.until) or b"close" in request
            if request:
                connection.send(LAST if last else KEEP)
        except OSError:
            request, last = b"", True
        if not request or last:
            self.poll.unregister(fd)
            del self.open[fd]
            connection.close()

    def stop(self, wake: int) -> None:
        """SIGTERM has come."""
        os.read(wake, 64)
        if not self.until:
            self.accept()
            self.poll.unregister(self.listener)
            self.listener.close()
            self.until = time.monotonic() + PATIENCE


if __name__ == "__main__":
    Brisk(8000).run()
