"""Questions a second that one sandbox's DNS server answers: asked before (from its cache), and never asked (encoded).

Usage: .venv/bin/python -m tests.bench.dns. Prints JSON: questions a second, and the server's CPU in microseconds per
question, which the machine's noise moves less. The asking process keeps 64 questions under way on the same machine.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import socket
import struct
import time

from overlay.dns import dns_message
from overlay.dns.dns_server import DnsServer
from overlay.dns.forwarder import Forwarder
from overlay.dns.pending_questions import PendingQuestions, memory
from overlay.dns.resolver import Resolver
from overlay.interface import Interface, Sandbox
from overlay.kernel.namespaces import DnsSockets
from overlay.plan.dns_zone import index
from tests.overlay.orders import ingress_snapshot

SECONDS, UNDER_WAY = 3.0, 64
SANDBOX = Sandbox("c1", "t1", "api.1", "api", "box", (Interface("n1", "10.0.1.40/24"),))
LABEL = "web" + "x" * 24
"""Its letters may be written in 2^27 ways, each of which is a question that the cache does not know."""


def question(label: str) -> bytes:
    """For an address."""
    header = struct.pack("!6H", 7, dns_message.RECURSION_DESIRED, 1, 0, 0, 0)
    return header + dns_message.encode_name(f"tasks.{label}") + struct.pack("!HH", dns_message.A, 1)


def ask(server: tuple[str, int], repeated: bool) -> None:
    """Ask until ended."""
    rng = random.Random(1)
    known = question("web")

    def one() -> bytes:
        return known if repeated else question("".join(rng.choice((c, c.upper())) for c in LABEL))

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(server)
        sock.settimeout(1)
        # made before: this process would else be slower than the server
        questions = [one() for _ in range(1 if repeated else 60_000)]
        for number in range(UNDER_WAY):
            sock.send(questions[number % len(questions)])
        number = UNDER_WAY
        while True:
            try:
                sock.recv(4096)
            except TimeoutError:
                pass
            sock.send(questions[number % len(questions)])
            number += 1


class Counted(DnsServer):
    """A server that counts what it is asked."""

    answered = 0

    def _respond(self, data: bytes, client: tuple[str, int]) -> None:
        self.answered += 1
        super()._respond(data, client)


async def measure(repeated: bool) -> dict[str, float]:
    """One workload."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    udp.bind(("127.0.0.1", 0))
    tcp.bind(("127.0.0.1", 0))
    tcp.listen()
    resolver = Resolver(SANDBOX, {"n1": "10.0.1.40"}, internal=True)
    resolver.use_names({"n1": index(ingress_snapshot())})
    fd = memory()
    server = Counted(resolver, DnsSockets(udp, tcp), Forwarder(9), lambda: ["127.0.0.1"], PendingQuestions(fd).of("c1"))
    client = multiprocessing.Process(target=ask, args=(udp.getsockname(), repeated), daemon=True)
    client.start()
    try:
        await asyncio.sleep(1.5)
        before, wall, cpu = server.answered, time.perf_counter(), time.process_time()
        await asyncio.sleep(SECONDS)
        count, wall, cpu = server.answered - before, time.perf_counter() - wall, time.process_time() - cpu
    finally:
        client.kill()
        client.join()
        server.close()
        os.close(fd)
    return {"questions_per_second": round(count / wall), "cpu_us_per_question": round(cpu / count * 1e6, 1)}


def main() -> None:
    """Both workloads."""
    rows = {"asked before": asyncio.run(measure(True)), "never asked": asyncio.run(measure(False))}
    print(json.dumps({"benchmark": "dns", **rows}, indent=2))


if __name__ == "__main__":
    main()
