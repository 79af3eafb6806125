"""Streams: the logs of many hosts in one, and events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from aiohttp import ClientResponse

from api.objects.decided import Task
from api.objects.kinds import SERVICE, STATUS, TASK
from api.objects.observed import TaskStatus
from api.states import TaskState
from api.wire.host_messages import LogLine
from manager.store.interface import Delete, Put
from tests.manager.http.cluster_api import NOW, W1, W2, Api, service


def line(text: str, stream: str = "stdout") -> LogLine:
    """A line of output."""
    return LogLine(NOW, stream, f"{text}\n".encode())


async def run(api: Api, service_id: str, task_id: str, node_id: str, *lines: LogLine) -> None:
    """A running task with lines in its log."""
    api.manager.hosts.output[task_id] = list(lines)
    await api.manager.store.commit([
        Put(TASK, task_id, Task(task_id, service_id, 1, 1, node_id, TaskState.ASSIGNED)),
        Put(STATUS, task_id, TaskStatus(TaskState.RUNNING, NOW, container_id=f"c-{task_id}")),
    ])  # fmt: skip


async def frames(response: ClientResponse) -> AsyncIterator[tuple[int, str]]:
    """(stream, text) of each frame, until the answer ends."""
    try:
        while True:
            header = await response.content.readexactly(8)
            text = await response.content.readexactly(int.from_bytes(header[4:], "big"))
            yield header[0], text.decode()
    except asyncio.IncompleteReadError:
        return


async def test_logs_of_all_hosts_come_in_frames_with_their_origin(api: Api) -> None:
    id = await api.create("web")
    await run(api, id, "t1", W1, line("one"), line("bad", "stderr"))
    await run(api, id, "t2", W2, line("two"))
    query = {"stdout": "1", "stderr": "1", "details": "1", "timestamps": "1"}
    async with api.client.get("/services/web/logs", params=query) as response:
        assert response.content_type == "application/vnd.docker.multiplexed-stream"
        got = sorted([frame async for frame in frames(response)])
    stamp, swarm = "2023-11-14T22:13:20.250000000Z", "com.docker.swarm"
    assert got == [
        (1, f"{stamp} {swarm}.node.id={W1},{swarm}.service.id={id},{swarm}.task.id=t1 one\n"),
        (1, f"{stamp} {swarm}.node.id={W2},{swarm}.service.id={id},{swarm}.task.id=t2 two\n"),
        (2, f"{stamp} {swarm}.node.id={W1},{swarm}.service.id={id},{swarm}.task.id=t1 bad\n"),
    ]


async def test_what_was_asked_of_logs_is_passed_on_to_the_hosts(api: Api) -> None:
    id = await api.create("web")
    await run(api, id, "t1", W1, line("one"), line("two"))
    async with api.client.get("/tasks/t1/logs", params={"stdout": "1", "tail": "1", "since": "12.5"}) as response:
        assert [frame async for frame in frames(response)] == [(1, "two\n")]
    (asked,) = api.manager.hosts.asked
    assert (asked.task_id, asked.tail, asked.since, asked.stderr, asked.follow) == ("t1", 1, 12.5, False, False)


async def test_a_terminal_s_log_is_raw(api: Api) -> None:
    id = await api.create("web", TaskTemplate={"ContainerSpec": {"Image": "demo", "TTY": True}})
    await run(api, id, "t1", W1, line("prompt"))
    async with api.client.get("/services/web/logs", params={"stdout": "1"}) as response:
        assert response.content_type == "application/vnd.docker.raw-stream"
        assert await response.read() == b"prompt\n"


async def test_tasks_that_start_later_join_while_following(api: Api) -> None:
    id = await api.create("web")
    await run(api, id, "t1", W1, line("one"))
    async with api.client.get("/services/web/logs", params={"stdout": "1", "follow": "1"}) as response:
        got = frames(response)
        assert await anext(got) == (1, "one\n")
        await run(api, id, "t2", W2, line("two"))
        assert await anext(got) == (1, "two\n")


async def test_following_ends_for_the_host_when_the_client_has_gone(api: Api) -> None:
    id = await api.create("web")
    closed = asyncio.Event()

    async def endless(node_id: str, request: object) -> AsyncIterator[list[LogLine]]:
        try:
            yield [line("one")]
            await asyncio.Event().wait()
        finally:
            closed.set()

    api.manager.hosts.logs = endless  # type: ignore[assignment, method-assign]
    await run(api, id, "t1", W1)
    response = await api.client.get("/services/web/logs", params={"stdout": "1", "follow": "1"})
    assert await anext(frames(response)) == (1, "one\n")
    response.close()
    await asyncio.wait_for(closed.wait(), 30)


async def test_an_unreachable_host_is_noted_on_stderr_and_a_vanished_container_is_nothing(api: Api) -> None:
    id = await api.create("web")
    await run(api, id, "t1", W1, line("one"))
    await run(api, id, "t2", W2)
    api.manager.hosts.down.add(W2)
    await run(api, id, "t3", W1)
    del api.manager.hosts.output["t3"]
    async with api.client.get("/services/web/logs", params={"stdout": "1", "stderr": "1"}) as response:
        got = sorted([frame async for frame in frames(response)])
    assert got == [(1, "one\n"), (2, "the log of task t2 cannot be read now: host w2 does not answer\n")]


async def test_events_tell_of_services_networks_and_nodes_as_they_change(api: Api) -> None:
    async with api.client.get("/events", params={"filters": json.dumps({"scope": ["swarm"]})}) as response:
        await asyncio.sleep(0)
        id = await api.create("web", Mode={"Replicated": {"Replicas": 1}})
        created = json.loads(await response.content.readline())
        assert (created["Type"], created["Action"], created["Actor"]["ID"]) == ("service", "create", id)
        assert created["scope"] == "swarm"
        await api.update(id, service("web", Mode={"Replicated": {"Replicas": 2}}))
        updated = json.loads(await response.content.readline())
        assert updated["Actor"]["Attributes"] == {"name": "web", "replicas.new": "2", "replicas.old": "1"}
        await api.call("POST", "/networks/create", {"Name": "net"})
        assert json.loads(await response.content.readline())["Type"] == "network"
        await api.manager.store.commit([Delete(SERVICE, id)])
        removed = json.loads(await response.content.readline())
        assert (removed["Type"], removed["Action"], removed["Actor"]["Attributes"]["name"]) == (
            "service",
            "remove",
            "web",
        )


async def test_events_of_the_past_end_at_once(api: Api) -> None:
    async with api.client.get("/events", params={"since": "1", "until": "2"}) as response:
        assert await response.read() == b""


async def test_events_resume_from_a_time_and_tell_of_tasks(api: Api) -> None:
    id = await api.create("web")
    api.manager.now = NOW + 10
    await run(api, id, "t1", W1)
    query = {"since": str(NOW + 5), "until": str(NOW + 10)}
    async with api.client.get("/events", params=query) as response:
        told = [json.loads(text) for text in (await response.read()).splitlines()]
    assert [(e["Type"], e["Action"], e["time"]) for e in told] == [
        ("task", "assigned", int(NOW + 10)), ("task", "running", int(NOW + 10)),
    ]  # fmt: skip
    assert told[1]["Actor"]["ID"] == "t1"
    assert told[1]["Actor"]["Attributes"]["node.name"] == "w1"
    only = {"since": "1", "until": str(NOW + 10), "filters": json.dumps({"type": ["task"], "service": ["web"]})}
    async with api.client.get("/events", params=only) as response:
        assert [json.loads(text)["Type"] for text in (await response.read()).splitlines()] == ["task", "task"]


async def test_a_line_without_an_end_gets_one_for_another_tasks_may_follow(api: Api) -> None:
    id = await api.create("web")
    await run(api, id, "t1", W1, LogLine(NOW, "stdout", b"unfinished"), LogLine(NOW, "stderr", b"as well"))
    await run(api, id, "t2", W1, line("whole"))
    response = await api.client.get("/services/web/logs", params={"stdout": "1", "stderr": "1"})

    assert sorted([item async for item in frames(response)]) == [(1, "unfinished\n"), (1, "whole\n"), (2, "as well\n")]
