"""DNS is answered when argosyd or the stand-in is killed at any time; no query is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.overlay.asker import asking
from tests.overlay.hosts import Cluster, TestHost
from tests.overlay.test_hosts import APP, CLIENT_NETNS, Task, network, service, start

pytestmark = pytest.mark.root

# A name server that takes its time: what it is asked is under way when somebody is killed.
UPSTREAM = """
import socket, struct, threading, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 53))
print("up", flush=True)
def answer(question, client):
    time.sleep(0.3)
    record = struct.pack("!HHHIH4B", 0xC00C, 1, 1, 60, 4, 192, 0, 2, 80)
    s.sendto(question[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0) + question[12:] + record, client)
while True:
    threading.Thread(target=answer, args=s.recvfrom(512)).start()
"""


@pytest.fixture(scope="module")
def caller(cluster: Cluster) -> Iterator[Task]:
    host = cluster.hosts[0]
    cluster.networks = {APP: network(APP, 1, 4501)}
    order = service("web", APP, "10.77.1.130")
    cluster.services = {order.id: order}
    cluster.tell()
    task = start(cluster, "caller.1", host, {APP: "10.77.1.50"})
    cluster.tell()
    command = ["nsenter", f"--net={CLIENT_NETNS}", sys.executable, "-c", UPSTREAM]
    upstream = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    host.programs.append(upstream)
    assert upstream.stdout
    assert upstream.stdout.readline() == "up\n"
    yield task
    host.do("close", id=task.id)


def test_argosyd_is_killed_at_any_age(cluster: Cluster, caller: Task) -> None:
    host = cluster.hosts[0]
    host.do("stand-in")
    with asking(caller.enter, "web", "far.example.org"):
        for age in (0.2, 0.5, 0.7, 0.8, 0.9, 1.0, 1.2):  # most of the time it only starts
            host.kill()
            host.launch()
            time.sleep(age)
        for age in (0.0, 0.02, 0.05, 0.1, 0.3):  # it has just heard of the names, and takes over
            host.kill()
            host.start()
            host.update(cluster.view(host), "tell")
            time.sleep(age)
        host.update(cluster.view(host))
        host.do("stand-in")


def test_argosyd_is_restarted(cluster: Cluster, caller: Task) -> None:
    host = cluster.hosts[0]
    with asking(caller.enter, "web", "far.example.org"):
        for _ in range(3):
            host.do("stop")
            host.kill()
            host.start()
            host.update(cluster.view(host))
            host.do("stand-in")


def test_the_stand_in_is_killed_while_argosyd_serves(cluster: Cluster, caller: Task) -> None:
    with asking(caller.enter, "web", "far.example.org"):
        another_stand_in(cluster.hosts[0])
        another_stand_in(cluster.hosts[0])


def test_the_stand_in_is_killed_while_argosyd_takes_over(cluster: Cluster, caller: Task) -> None:
    host = cluster.hosts[0]
    pid = host.do("stand-in")
    assert isinstance(pid, int)
    with asking(caller.enter, "web"):
        host.kill()
        host.start()
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)  # questions wait: nobody knows the names
        host.update(cluster.view(host))
        assert host.do("stand-in") != pid


def test_argosyd_hangs(cluster: Cluster, caller: Task) -> None:
    host = cluster.hosts[0]
    host.do("stand-in")
    assert host.process
    with asking(caller.enter, "web"):
        os.kill(host.process.pid, signal.SIGSTOP)
        time.sleep(1.5)
        os.kill(host.process.pid, signal.SIGCONT)
        host.do("stand-in")


def another_stand_in(host: TestHost) -> None:
    """Kill it; wait for the next, which knows all."""
    pid = host.do("stand-in")
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)
    until_changed(lambda: host.do("stand-in"), pid)


def until_changed(value: Callable[[], object], former: object) -> None:
    end = time.monotonic() + 30
    while value() == former:
        assert time.monotonic() < end
        time.sleep(0.05)
