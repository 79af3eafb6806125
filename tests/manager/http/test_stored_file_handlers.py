"""Secrets and configs over the HTTP API, and which of them hosts are sent."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from api.codec import encode
from api.objects.decided import Revision, Task
from api.objects.kinds import REVISION, SECRET, STATUS, TASK, revision_id
from api.objects.observed import TaskStatus
from api.states import TaskState
from api.wire.assignments import ConfigAssignment, SecretAssignment
from manager.assignments.assignment_sources import assignment_set
from manager.store.interface import Put
from tests.manager.http.cluster_api import W1, W2, Api, service

WORD = base64.b64encode(b"open sesame").decode()


def spec(name: str = "word", **changes: Any) -> dict[str, Any]:
    return {"Name": name, "Data": WORD, **changes}


async def make(api: Api, what: str = "secret", **changes: Any) -> str:
    status, value = await api.call("POST", f"/{what}s/create", spec(**changes))
    assert status == 201, value
    return str(value["ID"])


def user(name: str, **container: Any) -> dict[str, Any]:
    """A service that uses files."""
    return service(name, TaskTemplate={"ContainerSpec": {"Image": "demo:1", **container}})


@pytest.mark.parametrize("what", ["secret", "config"])
async def test_a_file_is_created_listed_relabelled_and_removed(api: Api, what: str) -> None:
    id = await make(api, what, Labels={"tier": "front"})
    await make(api, what, name="wordy")

    assert await api.call("POST", f"/{what}s/create", spec()) == (409, {"message": f"{what} word already exists"})
    names = {one["Spec"]["Name"] for one in await api.get(f"/{what}s", filters={"name": ["word"]})}
    assert names == {"word", "wordy"}
    assert [one["ID"] for one in await api.get(f"/{what}s", filters={"names": ["word"]})] == [id]
    assert [one["ID"] for one in await api.get(f"/{what}s", filters={"label": ["tier=front"]})] == [id]
    seen = await api.get(f"/{what}s/word")
    assert seen == await api.get(f"/{what}s/{id}") == await api.get(f"/{what}s/{id[:12]}")
    assert seen["Spec"].get("Data") == (WORD if what == "config" else None)

    path, version = f"/{what}s/{id}/update", seen["Version"]["Index"]
    assert (await api.call("POST", path, spec(Labels={"a": "b"}), version=version))[0] == 200
    refused = (400, {"message": "only updates to Labels are allowed"})
    version = (await api.get(f"/{what}s/word"))["Version"]["Index"]
    assert await api.call("POST", path, spec(Data="b3RoZXI="), version=version) == refused
    assert await api.call("POST", path, spec("other"), version=version) == refused
    assert (await api.get(f"/{what}s/word"))["Spec"]["Labels"] == {"a": "b"}

    assert (await api.call("DELETE", f"/{what}s/word"))[0] == 204
    assert await api.call("GET", f"/{what}s/word") == (404, {"message": f"{what} word not found"})
    await make(api, what)


async def test_a_secrets_data_is_in_no_answer_and_not_readable_in_the_store(api: Api) -> None:
    id = await make(api)

    assert WORD not in str(await api.get("/secrets")) + str(await api.get(f"/secrets/{id}"))
    stored = encode(api.manager.store.state.table(SECRET)[id])
    assert WORD.encode() not in stored
    assert b"open sesame" not in stored


@pytest.mark.parametrize(("body", "status", "message"), [
    (spec("-x"), 400, "Name: '-x': invalid name, only 64 [a-zA-Z0-9-_.] characters allowed,"
                      " and the start and end character must be [a-zA-Z0-9]"),
    (spec(Driver={"Name": "vault"}), 501, "Driver: secret driver 'vault' is not supported; give the data itself"),
    (spec(Templating={"Name": "golang"}), 501, "Templating: templates in a secret (golang) are not supported"),
    ({"Name": "s"}, 400, "Data: secret data must be larger than 0 and less than 512000 bytes"),
])  # fmt: skip
async def test_a_bad_secret_is_refused_with_a_sentence(api: Api, body: Any, status: int, message: str) -> None:
    assert await api.call("POST", "/secrets/create", body) == (status, {"message": message})


async def test_a_service_refers_by_name_and_keeps_what_it_uses_from_being_removed(api: Api) -> None:
    id, config = await make(api), await make(api, "config", name="conf")
    status, value = await api.call(
        "POST", "/services/create", user("web", Secrets=[{"SecretName": "word"}], Configs=[{"ConfigID": config}])
    )
    assert status == 201, value

    container = (await api.get("/services/web"))["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert container["Secrets"] == [
        {"File": {"Name": "word", "UID": "0", "GID": "0", "Mode": 0o444}, "SecretID": id, "SecretName": "word"}
    ]
    assert container["Configs"][0]["ConfigName"] == container["Configs"][0]["File"]["Name"] == "conf"
    said = "secret 'word' is in use by the following service: web"
    assert await api.call("DELETE", "/secrets/word") == (400, {"message": said})
    assert (await api.call("DELETE", "/services/web"))[0] == 200
    assert (await api.call("DELETE", "/secrets/word"))[0] == 204


async def test_two_secrets_cannot_have_one_target(api: Api) -> None:
    await make(api)
    await make(api, name="other")
    references = [{"SecretName": "word", "File": {"Name": "x"}}, {"SecretName": "other", "File": {"Name": "x"}}]

    assert await api.call("POST", "/services/create", user("web", Secrets=references)) == (
        400, {"message": "secret references 'word' and 'other' have a conflicting target: 'x'"},
    )  # fmt: skip


async def test_only_hosts_with_a_live_task_that_needs_them_are_sent_secrets(api: Api) -> None:
    id, config = await make(api), await make(api, "config", name="conf")
    await api.call(
        "POST", "/services/create", user("web", Secrets=[{"SecretName": "word"}], Configs=[{"ConfigName": "conf"}])
    )
    store = api.manager.store
    (stored,) = store.state.services.values()
    task = Task("t1", stored.id, 1, 1, W1, TaskState.ASSIGNED)
    await store.commit([
        Put(REVISION, revision_id(stored.id, 1), Revision(stored.id, 1, stored.spec)), Put(TASK, "t1", task),
    ])  # fmt: skip

    told = assignment_set(store.state, W1)
    assert told["secret", id] == SecretAssignment(id, "word", b"open sesame")
    assert told["config", config] == ConfigAssignment(config, "conf", b"open sesame")
    assert not {"secret", "config"} & {tag for tag, _ in assignment_set(store.state, W2)}

    await store.commit([Put(STATUS, "t1", TaskStatus(TaskState.FAILED))])
    assert not {"secret", "config"} & {tag for tag, _ in assignment_set(store.state, W1)}


async def test_a_service_whose_secrets_go_where_hosts_say_of_themselves_is_warned_of(api: Api) -> None:
    secret = {"SecretID": await make(api), "SecretName": "word", "File": {"Name": "word"}}
    asked = user("web", Secrets=[secret])
    asked["TaskTemplate"]["Placement"] = {"Constraints": ["node.hostname==w1"]}
    status, told = await api.call("POST", "/services/create", asked)
    assert status == 201
    assert "its secrets go to hosts chosen by node.hostname" in told["Warnings"][-1]
    problems = (await api.get("/argosy/v1/services/web/explain"))["Problems"]
    assert [one["Reason"] for one in problems if one["Code"] == "self-declared"] == [
        "its secrets go to hosts chosen by node.hostname, which hosts say of themselves"
    ]

    asked["TaskTemplate"]["Placement"] = {"Constraints": ["node.labels.secure==yes"]}
    version = (await api.get("/services/web"))["Version"]["Index"]
    status, told = await api.call("POST", "/services/web/update", asked, version=version)
    assert (status, told["Warnings"]) == (200, [])
