"""Verdicts over HTTP, once and as a stream."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import ClientResponse
from msgspec.structs import replace

from api.labels import NAMESPACE
from api.objects.decided import Revision, ServiceDecision, Task
from api.objects.kinds import (
    CURRENT_LEADER,
    LEADERSHIP,
    REVISION,
    SERVICE,
    SERVICE_DECISION,
    STATUS,
    TASK,
    revision_id,
)
from api.objects.observed import Leadership, TaskStatus
from api.reasons.reason import Code, reason
from api.states import TaskState
from manager.store.interface import Delete, Put
from tests.manager.http.cluster_api import M1, NOW, W1, Api

VERDICTS = "/argosy/v1/verdicts"


async def taken_up(api: Api, name: str, stack: str = "") -> str:
    """A service that the leader has processed, with one task that waits for a node; returns its id."""
    id = await api.create(name, Labels={NAMESPACE: stack} if stack else {})
    store = api.manager.store
    why = reason(Code.NO_SUITABLE_NODE, reason(Code.INSUFFICIENT_RESOURCES, nodes=2))
    service = replace(store.state.services[id], updated_at=NOW - 60)
    await store.commit([
        Put(SERVICE, id, service),
        Put(LEADERSHIP, CURRENT_LEADER, Leadership(M1, NOW)),
        Put(REVISION, revision_id(id, 1), Revision(id, 1, service.spec, NOW)),
        Put(SERVICE_DECISION, id, ServiceDecision(revision=1, wanted=1)),
        Put(TASK, f"{name}1", Task(f"{name}1", id, 1, 1, "", TaskState.PENDING, created_at=NOW - 60, reason=why)),
    ])  # fmt: skip
    return id


async def runs(api: Api, id: str, name: str) -> None:
    """Its task has been running for a while."""
    task = replace(api.manager.store.state.tasks[f"{name}1"], node_id=W1, state=TaskState.ASSIGNED, reason=None)
    status = TaskStatus(TaskState.RUNNING, NOW - 30, started_at=NOW - 30)
    await api.manager.store.commit([Put(TASK, task.id, task), Put(STATUS, task.id, status)])


async def line(response: ClientResponse) -> dict[str, Any]:
    """The next verdict of a stream."""
    found: dict[str, Any] = json.loads(await response.content.readline())
    return found


async def test_a_service_s_verdict_has_its_reasons_as_values_and_as_text(api: Api) -> None:
    id = await taken_up(api, "web")
    told = await api.get("/argosy/v1/services/web/verdict")
    assert told.pop("Version") == (await api.get("/services/web"))["Version"]
    assert told == {
        "ServiceID": id, "ServiceName": "web", "State": "stuck", "Since": "2023-11-14T22:12:20.250000000Z",
        "Ready": 0, "Wanted": 1,
        "Message": "1 task found no node: no suitable node (insufficient resources on 2 nodes)",
        "Reasons": [{"Code": "tasks-without-node", "Facts": {"tasks": 1}, "Because": [
            {"Code": "no-suitable-node", "Because": [{"Code": "insufficient-resources", "Facts": {"nodes": 2}}]},
        ]}],
    }  # fmt: skip
    assert (await api.get("/argosy/v1/services/web/verdict", patience=100))["State"] == "converging"
    await runs(api, id, "web")
    told = await api.get("/argosy/v1/services/web/verdict")
    assert (told["State"], told["Ready"], told["Message"]) == ("converged", 1, "")


async def test_a_stack_s_verdict_is_that_of_its_services(api: Api) -> None:
    await runs(api, await taken_up(api, "shop_web", "shop"), "shop_web")
    await taken_up(api, "shop_db", "shop")
    await taken_up(api, "other")
    told = await api.get("/argosy/v1/stacks/shop/verdict")
    assert (told["Stack"], told["State"], told["Ready"], told["Wanted"]) == ("shop", "stuck", 1, 2)
    assert told["Message"].startswith("shop_db is stuck: 1 task found no node")
    assert [(one["ServiceName"], one["State"]) for one in told["Services"]] == [
        ("shop_db", "stuck"), ("shop_web", "converged"),
    ]  # fmt: skip
    filters = {"stack": ["shop"]}
    assert {one["ServiceName"] for one in await api.get(VERDICTS, filters=filters)} == {"shop_db", "shop_web"}


async def test_a_stream_tells_a_verdict_whenever_it_changes(api: Api) -> None:
    id = await taken_up(api, "web")
    await taken_up(api, "db")
    filters = json.dumps({"id": [id]})
    async with api.client.get(VERDICTS, params={"stream": "1", "filters": filters}) as response:
        assert (await line(response))["State"] == "stuck"
        await runs(api, id, "web")
        told = await line(response)
        assert (told["ServiceName"], told["State"]) == ("web", "converged")
        await api.manager.store.commit([Delete(SERVICE, id)])
        told = await line(response)
        assert (told["ServiceID"], told["State"], told["Message"]) == (
            id,
            "failed",
            "the service was removed meanwhile",
        )


async def test_what_time_alone_changes_is_told_too(api: Api) -> None:
    await taken_up(api, "web")
    async with api.client.get(
        "/argosy/v1/services/web/verdict", params={"stream": "1", "patience": "60.2"}
    ) as response:
        assert (await line(response))["State"] == "converging"
        api.manager.now += 1
        assert (await line(response))["State"] == "stuck"


async def test_what_cannot_be_asked_is_refused(api: Api) -> None:
    await taken_up(api, "web")
    assert (await api.call("GET", "/argosy/v1/services/nope/verdict"))[0] == 404
    assert await api.call("GET", "/argosy/v1/stacks/nope/verdict") == (404, {"message": "stack nope not found"})
    for wrong in ("x", "-1", "nan", "1e9"):
        status, told = await api.call("GET", "/argosy/v1/services/web/verdict", patience=wrong)
        assert (status, told["message"]) == (400, f"patience: '{wrong}' is no number of seconds from 0 to 86400")
    assert (await api.call("GET", VERDICTS, filters='{"colour": ["red"]}'))[0] == 400
