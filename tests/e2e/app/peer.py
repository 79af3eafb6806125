"""A container to test with: says who it is and who calls, over HTTP and UDP, and makes calls itself when asked.

GET /            {"host", "client", "pid", "started"}
GET /fetch?url=  the same from another peer, fetched from inside this container
GET /udp?peer=   a UDP echo of another peer, by name
GET /names?name= addresses a name resolves to here
GET /crash       exit with code 3

On SIGTERM it answers what it was asked, and exits.
"""

import http.server
import json
import os
import signal
import socket
import threading
import time
import urllib.parse
import urllib.request

STARTED = time.monotonic_ns()
UDP_PORT = 9000


class Server(http.server.ThreadingHTTPServer):
    """A thread per request; closing waits for those that are being answered."""

    daemon_threads = False
    request_queue_size = 100


class Peer(http.server.BaseHTTPRequestHandler):
    """One request."""

    timeout = 5
    """Seconds that a client may keep silent, so that none keeps the server from ending."""

    def do_GET(self) -> None:
        """Answer, with 502 and the error's text when what was asked did not work."""
        url = urllib.parse.urlparse(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        try:
            status, value = 200, getattr(self, f"_{url.path.strip('/') or 'who'}")(**query)
        except OSError as error:
            status, value = 502, {"error": f"{type(error).__name__}: {error}"}
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _who(self) -> dict[str, object]:
        return {
            "host": socket.gethostname(), "client": self.client_address[0], "pid": os.getpid(), "started": STARTED,
            "greeting": os.environ.get("GREETING", ""),
        }  # fmt: skip

    def _fetch(self, url: str, timeout: str = "3") -> object:
        with urllib.request.urlopen(url, timeout=float(timeout)) as answer:
            return json.load(answer)

    def _udp(self, peer: str, timeout: str = "3") -> object:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(float(timeout))
            client.sendto(b"?", (peer, UDP_PORT))
            return json.loads(client.recv(1000))

    def _names(self, name: str) -> object:
        return {"addresses": sorted({row[4][0] for row in socket.getaddrinfo(name, 80, socket.AF_INET)})}

    def _crash(self) -> None:
        os._exit(3)


def echo() -> None:
    """Answer each datagram with who this is and who asked."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("", UDP_PORT))
        while True:
            _, client = server.recvfrom(1000)
            server.sendto(json.dumps({"host": socket.gethostname(), "client": client[0]}).encode(), client)


if __name__ == "__main__":
    told_to_stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told_to_stop.set())
    threading.Thread(target=echo, daemon=True).start()
    server = Server(("", 8000), Peer)
    threading.Thread(target=server.serve_forever, args=(0.1,)).start()
    print("peer is ready", flush=True)
    told_to_stop.wait()
    server.shutdown()
    server.server_close()
