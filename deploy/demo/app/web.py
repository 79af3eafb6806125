"""The web tier: answers each visitor with its own name and the answer of the api tier."""

import http.server
import json
import os
import socket
import urllib.request

API = os.environ.get("API", "http://api:5000/")


class Page(http.server.BaseHTTPRequestHandler):
    """The handler of one request."""

    def do_GET(self) -> None:
        """Answer a visit or a health check."""
        if self.path == "/health":
            self._answer(200, {"ok": True})
            return
        try:
            with urllib.request.urlopen(API, timeout=5) as answer:
                api = json.load(answer)
        except OSError as error:
            self._answer(502, {"web": socket.gethostname(), "error": f"{API}: {error}"})
            return
        self._answer(200, {"web": socket.gethostname(), "visitor": self.client_address[0], **api})

    def _answer(self, status: int, value: dict[str, object]) -> None:
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("", 8000), Page).serve_forever()
