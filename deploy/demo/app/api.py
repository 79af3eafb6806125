"""The api tier: counts visits in the data tier."""

import http.server
import json
import os
import socket

DATA = (os.environ.get("DATA", "data"), 6379)


def count() -> int:
    """Count one visit and return the total."""
    with socket.create_connection(DATA, timeout=5) as connection:
        connection.sendall(b"INCR visits\r\n")
        return int(connection.makefile("rb").readline()[1:])


class Visits(http.server.BaseHTTPRequestHandler):
    """The handler of one request."""

    def do_GET(self) -> None:
        """Count the visit, unless it is a health check."""
        try:
            value: dict[str, object] = {"api": socket.gethostname()}
            if self.path != "/health":
                value["visits"] = count()
            status = 200
        except OSError as error:
            value, status = {"api": socket.gethostname(), "error": f"{DATA[0]}: {error}"}, 502
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("", 5000), Visits).serve_forever()
