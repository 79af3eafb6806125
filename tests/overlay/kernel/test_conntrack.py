"""Only stale flows are deleted: a client may reuse its port between the dump and the deletion."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.overlay.hosts import REPOSITORY

pytestmark = pytest.mark.root

# Client ports to a VIP: their first connections have ended at a backend that is gone. While those are being forgotten
# the ports are used again, and led to another backend. Prints who answers.
REUSE = """
import socket, threading, time
from overlay.kernel.conntrack import Conntrack
from overlay.kernel.nftables import NftContext

GONE, OTHER, VIP = "127.0.0.11", "127.0.0.12", "127.0.0.5"
PORTS = range(30000, 30020)

def serve(address):
    listener = socket.create_server((address, 80))
    def answer(connection):
        connection.recv(9)
        # time for the deletion to come in between
        time.sleep(0.5 if address == OTHER else 0)
        connection.send(address.encode())
        connection.close()
    def run():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()
    threading.Thread(target=run, daemon=True).start()

def lead(address):
    nft.run(f"flush chain ip t out\\nadd rule ip t out ip daddr {VIP} dnat to {address}")

def ask(port):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.settimeout(3)
    client.bind(("127.0.0.1", port))
    client.connect((VIP, 80))
    client.send(b"x")
    return client

nft, conntrack = NftContext(), Conntrack()
nft.run("table ip t { chain out { type nat hook output priority -100; }; }")
nft.run("add chain ip t post { type nat hook postrouting priority 100; }")
serve(GONE)
serve(OTHER)
lead(GONE)
for port in PORTS:
    first = ask(port)
    while first.recv(20):
        pass
    first.close()
second = []
apply = conntrack._socket.apply

def late(requests):
    lead(OTHER)
    second.extend(ask(port) for port in PORTS)
    apply(requests)

conntrack._socket.apply = late
assert conntrack.forget({}, frozenset(), frozenset({GONE})) == len(PORTS)
found = set()
for client in second:
    try:
        found.add(client.recv(20).decode())
    except OSError as error:
        found.add(type(error).__name__)
        break
print(*found)
"""


def test_a_port_that_is_used_anew_while_its_old_connection_is_forgotten_gets_its_answer() -> None:
    script = f"ip link set lo up && exec {sys.executable} -c '{REUSE.replace(chr(39), chr(34))}'"
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False
    )

    assert (done.stdout, done.returncode) == ("127.0.0.12\n", 0), done.stderr


# A VIP leads to a backend without power. Prints who answers a client: that has sent its first SYN already, and one that
# uses the port of a client that gave up.
UNANSWERED = """
import errno, socket, subprocess, threading
from overlay.kernel.conntrack import Conntrack
from overlay.kernel.nftables import NftContext

DEAD, OTHER, VIP = "127.0.0.11", "127.0.0.12", "127.0.0.5"

def lead(address):
    nft.run(f"flush chain ip t out\\nadd rule ip t out ip daddr {VIP} dnat to {address}")

def ask(port, address=VIP):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.settimeout(3)
    client.bind(("127.0.0.1", port))
    client.setblocking(False)
    assert client.connect_ex((address, 80)) == errno.EINPROGRESS
    client.settimeout(5)
    return client

def who(client):
    try:
        return client.recv(20).decode()
    except OSError as error:
        return type(error).__name__

def serve():
    while True:
        connection, _ = listener.accept()
        kept.append(connection)
        connection.send(OTHER.encode())

kept = []
listener = socket.create_server((OTHER, 80))
threading.Thread(target=serve, daemon=True).start()
nft, conntrack = NftContext(), Conntrack()
nft.run("table ip t { chain out { type nat hook output priority -100; }; }")
nft.run("add chain ip t post { type nat hook postrouting priority 100; }")
nft.run("add chain ip t in { type filter hook input priority 0; }")
nft.run(f"add rule ip t in ip daddr {DEAD} drop")
lead(OTHER)
held = ask(30003)
assert who(held) == OTHER
lead(DEAD)
waiting, given_up = ask(30001), ask(30002)
given_up.close()
lead(OTHER)
stuck = ask(30004, DEAD)
assert conntrack.forget_unanswered(frozenset()) == 0
assert conntrack.forget_unanswered(frozenset({DEAD, OTHER})) == 3, "not the one that was answered"
print(who(ask(30002)), who(waiting), len(kept))
"""


def test_a_client_that_a_dead_backend_does_not_answer_meets_another_with_its_next_packet() -> None:
    script = f"ip link set lo up && exec {sys.executable} -c '{UNANSWERED.replace(chr(39), chr(34))}'"
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False
    )

    assert (done.stdout, done.returncode) == ("127.0.0.12 127.0.0.12 3\n", 0), done.stderr
