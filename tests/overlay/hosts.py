"""Hosts for tests: namespaces on a switch, each with HostNetworks in its own process; and programs in sandboxes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from api.wire.assignments import EndpointAssignment, NetworkAssignment, PeerAssignment, ServiceAssignment
from overlay.interface import NetworkView, Sandbox

REPOSITORY = Path(__file__).parents[2]
NAMES = "argosy-ovl"
PREFIX = f"{NAMES}{os.getpid()}"
"""Of the names of namespaces: two runs at the same time have their own."""
CLIENT = "172.30.77.100"

# Says who is served and by whom: "<own name> <client's address>".
SERVER = """
import socket, sys, threading
name, port, protocol = sys.argv[1], int(sys.argv[2]), sys.argv[3]
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", port))
if protocol == "tcp":
    s.listen(128)
print("up", flush=True)
while True:
    if protocol == "tcp":
        c, a = s.accept()
        c.sendall(f"{name} {a[0]}".encode())
        c.close()
    else:
        d, a = s.recvfrom(100)
        s.sendto(f"{name} {a[0]}".encode(), a)
"""

# Asks so many times, prints the answers as JSON; errors as "!<type>".
CALLER = """
import json, socket, sys, struct
protocol, address, port, times, timeout = sys.argv[1:]
port, times, timeout = int(port), int(times), float(timeout)
found = []
for _ in range(times):
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM) as s:
            s.settimeout(timeout)
            s.connect((address, port))
            if protocol == "udp":
                s.send(b"x")
            found.append(s.recv(100).decode())
    except OSError as e:
        found.append("!" + type(e).__name__)
print(json.dumps(found))
"""

# Like SERVER over TCP, but goes on: answers whatever comes on a connection with its name.
TALKER = """
import socketserver, sys
class Talk(socketserver.BaseRequestHandler):
    def handle(self):
        while self.request.recv(100):
            self.request.sendall(sys.argv[1].encode())
socketserver.ThreadingTCPServer.allow_reuse_address = socketserver.ThreadingTCPServer.daemon_threads = True
server = socketserver.ThreadingTCPServer(("0.0.0.0", int(sys.argv[2])), Talk)
print("up", flush=True)
server.serve_forever()
"""

# Keeps one socket; for each line of input it asks once and prints the answer, or the error as "!<type>".
KEEPER = """
import socket, sys
protocol, address, port = sys.argv[1:]
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
s.settimeout(4)
s.connect((address, int(port)))
for line in sys.stdin:
    try:
        s.send(b"x")
        print(s.recv(100).decode(), flush=True)
    except OSError as e:
        print("!" + type(e).__name__, flush=True)
"""

# Resolves by 127.0.0.11 with plain queries; prints code and addresses.
RESOLVE = """
import json, socket, struct, sys
name, kind, protocol = sys.argv[1], int(sys.argv[2]), sys.argv[3]
labels = b"".join(bytes([len(l)]) + l.encode() for l in name.rstrip(".").split("."))
q = struct.pack("!6H", 0x1234, 0x100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, 1)
if protocol == "udp":
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    s.connect(("127.0.0.11", 53))
    s.send(q)
    r = s.recv(4096)
else:
    s = socket.create_connection(("127.0.0.11", 53), 5)
    s.sendall(struct.pack("!H", len(q)) + q)
    r = s.recv(4096)[2:]
count = struct.unpack("!H", r[6:8])[0]
o, found = len(q), []
for _ in range(count):
    n = struct.unpack("!H", r[o + 10 : o + 12])[0]
    found.append(socket.inet_ntoa(r[o + 12 : o + 16]) if n == 4 else r[o + 12 : o + 12 + n].hex())
    o += 12 + n
print(json.dumps([r[3] & 15, found]))
"""


def sh(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        time.sleep(0.05)


def end_all_in(netns: str) -> None:
    """Kill whatever runs in a namespace."""

    def none_is_left() -> bool:
        pids = sh("ip", "netns", "pids", netns, check=False).split()
        for pid in map(int, pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    until(none_is_left)


@dataclass
class TestHost:
    __test__ = False
    name: str
    address: str
    root: Path
    process: subprocess.Popen[str] | None = None
    programs: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def netns(self) -> str:
        return f"{PREFIX}-{self.name}"

    def start(self) -> None:
        self.launch()
        assert "ok" in self.read()

    def launch(self) -> None:
        """Start it, and do not wait until it is up."""
        # not `ip netns exec`: that makes a mount namespace, and what is mounted there is seen nowhere else
        command = ["nsenter", f"--net=/run/netns/{self.netns}", sys.executable, "-m", "tests.overlay.driver"]
        self.process = subprocess.Popen(
            [*command, self.address, str(self.root)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(self.root / "log").open("a"),
            text=True,
        )

    def read(self) -> dict:
        assert self.process
        assert self.process.stdout
        while True:
            line = self.process.stdout.readline()
            assert line, (self.root / "log").read_text()
            if line.startswith("{"):
                return json.loads(line)

    def do(self, what: str, **order: object) -> object:
        assert self.process
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"do": what, **order}) + "\n")
        self.process.stdin.flush()
        answer = self.read()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["ok"]

    def update(self, view: NetworkView, do: str = "update") -> None:
        """`do="tell"`: without waiting until it is so."""
        kinds = ("networks", "services", "endpoints", "peers")
        self.do(do, view={k: msgspec.to_builtins(list(getattr(view, k).values())) for k in kinds})

    def open(self, sandbox: Sandbox) -> str:
        return str(self.do("open", sandbox=msgspec.to_builtins(sandbox)))

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            assert self.process.stdin
            assert self.process.stdout
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None

    def serve(
        self, netns: str, name: str, port: int, protocol: str = "tcp", script: str = SERVER
    ) -> subprocess.Popen[str]:
        command = ["nsenter", f"--net={netns}", sys.executable, "-c", script, name, str(port), protocol]
        program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.programs.append(program)
        assert program.stdout
        assert program.stdout.readline() == "up\n"
        return program

    def end(self) -> None:
        """The power is cut: whatever it started ends with it."""
        self.kill()
        end_all_in(self.netns)
        for program in self.programs:
            program.kill()
            program.wait()
            assert program.stdout
            program.stdout.close()

    def inside(self, *command: str, check: bool = True) -> str:
        return sh("ip", "netns", "exec", self.netns, *command, check=check)

    def call(self, address: str, port: int, times: int = 1, protocol: str = "tcp", timeout: float = 5) -> list[str]:
        return call(f"/run/netns/{self.netns}", address, port, times, protocol, timeout)


def call(netns: str, address: str, port: int, times: int = 1, protocol: str = "tcp", timeout: float = 5) -> list[str]:
    arguments = [protocol, address, str(port), str(times), str(timeout)]
    return list(json.loads(sh("nsenter", f"--net={netns}", sys.executable, "-c", CALLER, *arguments)))


class Keeper:
    """A client that keeps its socket. Use as a context."""

    def __init__(self, netns: str, address: str, port: int, protocol: str = "tcp") -> None:
        command = ["nsenter", f"--net={netns}", sys.executable, "-c", KEEPER, protocol, address, str(port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def resolve(netns: str, name: str, kind: int = 1, protocol: str = "udp") -> tuple[int, list[str]]:
    code, found = json.loads(sh("nsenter", f"--net={netns}", sys.executable, "-c", RESOLVE, name, str(kind), protocol))
    return code, found


@dataclass
class Cluster:
    """A little of what managers do: gives out addresses and tells every host all it needs."""

    hosts: list[TestHost]
    networks: dict[str, NetworkAssignment] = field(default_factory=dict)
    services: dict[str, ServiceAssignment] = field(default_factory=dict)
    endpoints: dict[str, EndpointAssignment] = field(default_factory=dict)

    def gateway(self, network: str, host: TestHost) -> str:
        base = self.networks[network].subnet.split("/")[0].rsplit(".", 1)[0]
        return f"{base}.{1 + self.hosts.index(host)}"

    def view(self, host: TestHost) -> NetworkView:
        networks, peers = {}, {}
        for id, network in self.networks.items():
            length = network.subnet.split("/")[1]
            networks[id] = msgspec.structs.replace(network, gateway=f"{self.gateway(id, host)}/{length}")
            for other in self.hosts:
                peer = PeerAssignment(f"{other.name}.{id}", id, other.name, other.address, self.gateway(id, other))
                peers[peer.id] = peer
        return NetworkView(networks, dict(self.services), dict(self.endpoints), peers)

    def tell(self) -> None:
        for host in self.hosts:
            host.update(self.view(host))
