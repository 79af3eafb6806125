"""Two real argosyd processes in namespaces: they make a cluster, restart, change roles and leave."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.node.hosts import HostUnderTest, ip

pytestmark = pytest.mark.root
SWITCH = f"nodesw{os.getpid()}"
TOKEN = f"SWMTKN-1-{'a' * 50}-{'b' * 25}"


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[HostUnderTest, HostUnderTest]]:
    hosts = [HostUnderTest(f"nt{os.getpid()}-{n}", f"10.98.0.{n}", tmp_path / f"h{n}") for n in (1, 2)]
    ip("netns", "add", SWITCH)
    try:
        ip("-n", SWITCH, "link", "add", "sw0", "type", "bridge")
        ip("-n", SWITCH, "link", "set", "sw0", "up")
        for host in hosts:
            host.wire(SWITCH)
            await host.start()
        yield hosts[0], hosts[1]
    finally:
        for host in hosts:
            host.remove()
        subprocess.run(["ip", "netns", "del", SWITCH], check=False, capture_output=True)


async def init(host: HostUnderTest) -> str:
    """Make a cluster; the node id."""
    status, node_id = await host.call("POST", "/swarm/init", {"ListenAddr": "0.0.0.0:2377"})
    assert status == 200, node_id
    return str(node_id)


async def join(host: HostUnderTest, to: HostUnderTest, kind: str) -> tuple[int, Any]:
    """Join a cluster with its Worker or Manager token."""
    _, swarm = await to.call("GET", "/swarm")
    body = {"RemoteAddrs": [f"{to.address}:2377"], "JoinToken": swarm["JoinTokens"][kind]}
    return await host.call("POST", "/swarm/join", body)


async def all_ready(host: HostUnderTest, count: int) -> None:
    """Until so many nodes are ready."""

    async def ready() -> bool:
        states = await host.nodes()
        return len(states) == count and set(states.values()) == {"ready"}

    await host.until(ready)


async def test_a_cluster_is_made_joined_survives_restarts_and_is_left(
    pair: tuple[HostUnderTest, HostUnderTest],
) -> None:
    first, second = pair
    assert await first.swarm() == "inactive"
    status, said = await first.call("GET", "/services")
    assert (status, 'Use "docker swarm init"' in said["message"]) == (503, True)
    assert (await first.call("POST", "/swarm/leave"))[1]["message"] == "This node is not part of a swarm"

    node_id = await init(first)
    assert await first.swarm() == "active/manager"
    status, said = await first.call("POST", "/swarm/init", {})
    assert (status, "already part of a swarm" in said["message"]) == (503, True)
    await all_ready(first, 1)

    assert (await join(second, first, "Worker"))[0] == 200
    assert await second.swarm() == "active/worker"
    await all_ready(first, 2)
    status, said = await second.call("GET", "/nodes")
    assert (status, "promote the current node" in said["message"]) == (503, True)
    _, info = await second.call("GET", "/info")
    assert info["Swarm"]["RemoteManagers"] == [{"NodeID": "", "Addr": f"{first.address}:2377"}]

    # killed, it leaves etcd behind and takes it over; stopped, it starts it again
    await first.stop(signal.SIGKILL)
    await first.start()
    await all_ready(first, 2)
    assert await first.stop() == 0
    await first.start()
    await all_ready(first, 2)
    assert node_id in await first.nodes()

    assert (await second.call("POST", "/swarm/leave"))[0] == 200
    assert await second.swarm() == "inactive"
    status, said = await first.call("POST", "/swarm/leave")
    assert (status, "Removing the last manager" in said["message"]) == (503, True)
    assert (await first.call("POST", "/swarm/leave?force=1"))[0] == 200
    assert not (first.directory / "lib" / "etcd").exists()
    assert await init(first) != node_id


async def test_a_second_manager_has_the_same_cluster_and_goes_without_harm(
    pair: tuple[HostUnderTest, HostUnderTest],
) -> None:
    first, second = pair
    await init(first)
    assert (await join(second, first, "Manager"))[0] == 200
    await all_ready(second, 2)
    assert await second.nodes() == await first.nodes()
    assert (await second.call("POST", "/swarm/leave?force=1"))[0] == 200
    # one of two etcd members is gone, and was taken out of the list: the other goes on alone
    status, _ = await first.call("POST", "/networks/create", {"Name": "after", "Driver": "overlay"})
    assert status == 201


BAD_REQUESTS: list[tuple[str, object, int, str]] = [
    ("/swarm/join", {"RemoteAddrs": [], "JoinToken": "x"}, 400, "at least 1 RemoteAddr"),
    ("/swarm/join", {"RemoteAddrs": ["10.98.0.1:2377"], "JoinToken": "x"}, 400, "invalid join token"),
    ("/swarm/join", {"RemoteAddrs": ["127.0.0.1:9"], "JoinToken": TOKEN}, 503, "127.0.0.1:9"),
    ("/swarm/init", {"ListenAddr": "nowhere:2377"}, 400, "nowhere"),
    ("/swarm/init", {"ListenAddr": "0.0.0.0:99999"}, 400, "is not a port"),
    ("/swarm/init", {"AdvertiseAddr": "eth7"}, 400, "eth7"),
    ("/swarm/init", {"Availability": "idle"}, 400, "active, pause, drain"),
    ("/swarm/init", {"ListenAddr": "192.0.2.77:2377", "AdvertiseAddr": "eth0"}, 503, "cannot listen"),
]


async def test_requests_that_fail_leave_no_trace(pair: tuple[HostUnderTest, HostUnderTest]) -> None:
    host = pair[0]
    for path, body, code, message in BAD_REQUESTS:
        status, said = await host.call("POST", path, body)
        assert (status, message in said["message"]) == (code, True), said
        assert await host.swarm() == "inactive"
        assert not (host.directory / "lib" / "node").exists()
        assert not (host.directory / "lib" / "etcd").exists()
    await init(host)


async def test_generic_resources_of_a_host_are_shown_and_can_be_reserved(
    pair: tuple[HostUnderTest, HostUnderTest],
) -> None:
    host = pair[0]
    assert await host.stop() == 0
    host.options = ["--node-generic-resource", "gpu=UUID1", "--node-generic-resource", "ssd=3"]
    await host.start()
    node_id = await init(host)
    await all_ready(host, 1)
    offered = [
        {"NamedResourceSpec": {"Kind": "gpu", "Value": "UUID1"}},
        {"DiscreteResourceSpec": {"Kind": "ssd", "Value": 3}},
    ]
    _, node = await host.call("GET", f"/nodes/{node_id}")
    assert node["Description"]["Resources"]["GenericResources"] == offered

    wanted = [
        {"DiscreteResourceSpec": {"Kind": "gpu", "Value": 1}},
        {"DiscreteResourceSpec": {"Kind": "ssd", "Value": 2}},
    ]
    template = {
        "ContainerSpec": {"Image": "none.invalid/x:1"}, "Resources": {"Reservations": {"GenericResources": wanted}},
        "RestartPolicy": {"Condition": "none"},
    }  # fmt: skip
    status, said = await host.call("POST", "/services/create", {"Name": "job", "TaskTemplate": template})
    assert status == 201, said

    async def given() -> bool:
        _, tasks = await host.call("GET", "/tasks")
        return [task.get("GenericResources") for task in tasks if task["NodeID"]] == [
            [offered[0], {"DiscreteResourceSpec": {"Kind": "ssd", "Value": 2}}]
        ]

    await host.until(given)
