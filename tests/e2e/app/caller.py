"""Steady clients of a web server, which count every request that fails; none is tried twice.

As a program: calls the URL's host with new connections and with one that is kept, and tells its tally on port 8000.
"""

import http.client
import http.server
import json
import os
import signal
import sys
import threading
import time

PAUSE = 0.03
"""Seconds between two requests of a client."""
TIMEOUT = 5.0


class Caller(threading.Thread):
    """One client. `keep`: its connection is used until the server ends it."""

    def __init__(self, host: str, port: int, keep: bool) -> None:
        super().__init__(daemon=True)
        self.address, self.keep = (host, port), keep
        self.asked, self.failures = 0, list[str]()
        self.over = threading.Event()

    def run(self) -> None:
        """Ask until told to stop."""
        connection: http.client.HTTPConnection | None = None
        while not self.over.wait(PAUSE):
            connection = connection or http.client.HTTPConnection(*self.address, timeout=TIMEOUT)
            began = time.monotonic()
            try:
                ended = self._ask(connection)
            except (OSError, http.client.HTTPException) as error:
                kind = "kept" if self.keep else "new"
                self.failures.append(
                    f"{self.address} {kind}: {error!r} at {began:.3f} after {time.monotonic() - began:.3f} s"
                )
                ended = True
            self.asked += 1
            if ended or not self.keep:
                connection.close()
                connection = None

    def ask_once(self) -> bool:
        """Ask with a connection of its own. Raises OSError, HTTPException."""
        connection = http.client.HTTPConnection(*self.address, timeout=TIMEOUT)
        try:
            self._ask(connection)
        finally:
            connection.close()
        return True

    def _ask(self, connection: http.client.HTTPConnection) -> bool:
        """Whether the server ends the connection."""
        connection.request("GET", "/")
        answer = connection.getresponse()
        if answer.status != 200 or not answer.read():
            raise OSError(f"answer {answer.status}")
        return bool(answer.will_close)


class Tally(http.server.BaseHTTPRequestHandler):
    """Tells how many requests were made, and which failed."""

    callers: list[Caller] = []

    def do_GET(self) -> None:
        """Answer with JSON."""
        value = {
            "asked": [caller.asked for caller in self.callers],
            "failures": [failure for caller in self.callers for failure in caller.failures],
        }
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    # PID 1 gets no signal it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    Tally.callers = [Caller(sys.argv[1], 8000, keep) for keep in (False, True)]
    for one in Tally.callers:
        one.start()
    http.server.ThreadingHTTPServer(("", 8000), Tally).serve_forever()
