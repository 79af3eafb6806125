"""Registry credentials of services: stored encrypted, sent to the service's hosts, never shown."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.codec import encode
from api.objects.decided import Revision, Task
from api.objects.kinds import REVISION, TASK, revision_id
from api.registry_auth import HEADER, Login, header_of
from api.states import TaskState
from api.wire.assignments import SecretAssignment, SpecAssignment, login_id
from manager.assignments.assignment_index import AssignmentIndex
from manager.assignments.assignment_sources import assignment_set
from manager.store.interface import Put
from tests.make import everything
from tests.manager.http.cluster_api import W1, W2, Api, new_manager, serve, service

IMAGE = "reg.example.com/shop:1"
LOGIN = Login("me", "sesame")
NEWER = Login("me", "sesame-2")


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serve(await new_manager()) as api:
        yield api


async def send(api: Api, path: str, spec: dict[str, Any], login: Login | None) -> Any:
    """A POST with a login."""
    headers = {"Content-Type": "application/json"} | ({HEADER: header_of(login)} if login else {})
    async with api.client.post(path, data=json.dumps(spec), headers=headers) as response:
        value = await response.json()
        assert response.status < 300, value
        return value


async def change(api: Api, id: str, login: Login | None, **spec: Any) -> None:
    version = (await api.get(f"/services/{id}"))["Version"]["Index"]
    await send(api, f"/services/{id}/update?version={version}", service("web", IMAGE, **spec), login)


async def place(api: Api, id: str) -> None:
    """A task of the service on a worker."""
    stored = api.manager.store.state.services[id]
    await api.manager.store.commit([
        Put(REVISION, revision_id(id, 1), Revision(id, 1, stored.spec)),
        Put(TASK, "t1", Task("t1", id, 1, 1, W1, TaskState.ASSIGNED)),
    ])  # fmt: skip


def told(api: Api, id: str, node: str = W1) -> bytes | None:
    """The login a host is sent."""
    order = assignment_set(api.manager.store.state, node).get(("secret", login_id(id)))
    return order.data if isinstance(order, SecretAssignment) else None


async def test_hosts_of_the_service_are_sent_the_login_and_nobody_is_shown_it(api: Api) -> None:
    id = (await send(api, "/services/create", service("web", IMAGE), LOGIN))["ID"]
    await place(api, id)

    assert told(api, id) == b'{"auths":{"reg.example.com":{"auth":"bWU6c2VzYW1l"}}}'
    assert told(api, id, W2) is None
    spec = assignment_set(api.manager.store.state, W1)["spec", revision_id(id, 1)]
    assert isinstance(spec, SpecAssignment)
    assert spec.registry_login
    assert api.registry.asked == [(IMAGE, LOGIN)]
    shown = json.dumps([await api.get(f"/services/{id}"), await api.get("/services"), await api.get("/secrets")])
    kept = encode(api.manager.store.state.services[id]).decode()
    assert not [word for word in ("sesame", "bWU6c2VzYW1l") if word in shown + kept]
    assert "login" not in shown.lower()


async def test_a_login_stays_until_another_is_sent_and_the_same_one_changes_nothing(api: Api) -> None:
    id = (await send(api, "/services/create", service("web", IMAGE), LOGIN))["ID"]
    await place(api, id)
    first = api.manager.store.state.services[id]
    await change(api, id, LOGIN)
    assert api.manager.store.state.services[id] == first
    api.manager.now += 60
    await change(api, id, None, Labels={"a": "b"})
    assert api.registry.asked[-1] == (IMAGE, LOGIN)
    assert b"bWU6c2VzYW1l" in (told(api, id) or b"")

    index = AssignmentIndex(api.manager.store.state)
    view = index.add(W1)
    view.take()
    before = api.manager.store.state.services[id]
    await change(api, id, NEWER, Labels={"a": "b"})
    after = api.manager.store.state.services[id]
    assert (after.revision, after.updated_at) == (before.revision, before.updated_at)
    list(index.update(everything(api.manager.store.state)))
    assert [resource.id for resource in view.take()[0] if isinstance(resource, SecretAssignment)] == [login_id(id)]


async def test_a_login_is_for_one_registry_only(api: Api) -> None:
    id = (await send(api, "/services/create", service("web", IMAGE), LOGIN))["ID"]
    version = (await api.get(f"/services/{id}"))["Version"]["Index"]
    await send(api, f"/services/{id}/update?version={version}", service("web", "other.example.com/shop:1"), None)
    assert api.registry.asked[-1] == ("other.example.com/shop:1", None)
