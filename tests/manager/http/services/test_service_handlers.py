"""Services over HTTP: what is stored, what is answered, and refusals because of concurrent changes."""

from __future__ import annotations

import asyncio

from api.objects.decided import Revision, ServiceDecision, Task
from api.objects.kinds import CLAIM, REVISION, SERVICE, SERVICE_DECISION, STATUS, TASK, revision_id
from api.objects.observed import TaskStatus  # fmt: skip
from api.objects.wanted import Claim
from api.states import TaskState
from manager.http.services.name_generator import invented_name
from manager.images.registry import Manifest
from manager.store.in_memory import MemoryDatabase
from manager.store.interface import Put
from manager.store.transact import ATTEMPTS
from tests.manager.http.cluster_api import M1, W1, Api, new_manager, serve, service

DIGEST = "sha256:" + "ab" * 32
ID = "sha256:" + "cd" * 32


async def in_force(api: Api, id: str, revision: int, previous: int = 0, wanted: int = 0) -> None:
    """Do what the leader does with a revision: store its spec and put it in force."""
    store = api.manager.store
    now = store.state.services[id]
    await store.commit([
        Put(REVISION, revision_id(id, now.revision), Revision(id, now.revision, now.spec)),
        Put(SERVICE_DECISION, id, ServiceDecision(revision=revision, wanted=wanted or revision, previous=previous)),
    ])  # fmt: skip


async def test_a_created_service_is_listed_and_inspected_by_id_name_and_prefix(api: Api) -> None:
    id = await api.create("web", Mode={"Replicated": {"Replicas": 3}}, Labels={"a": "b"})
    shown = await api.get("/services/web")
    assert shown["ID"] == id
    assert shown["Spec"]["Mode"] == {"Replicated": {"Replicas": 3}}
    assert shown["Spec"]["TaskTemplate"]["Runtime"] == "container"
    assert await api.get(f"/services/{id[:6]}") == await api.get(f"/services/{id}") == shown
    assert [s["ID"] for s in await api.get("/services")] == [id]


async def test_a_service_without_a_mode_has_one_replica_and_without_a_name_gets_one(api: Api) -> None:
    status, value = await api.call("POST", "/services/create", {"TaskTemplate": {"ContainerSpec": {"Image": "demo"}}})
    assert status == 201
    spec = (await api.get(f"/services/{value['ID']}"))["Spec"]
    assert spec["Mode"] == {"Replicated": {"Replicas": 1}}
    assert spec["Name"]
    assert spec["TaskTemplate"]["ContainerSpec"]["Image"] == "demo:latest"


def test_invented_names_are_names() -> None:
    import random

    from api.ids import SERVICE_NAME

    assert all(SERVICE_NAME.fullmatch(invented_name(random.Random(n))) for n in range(200))


async def test_what_is_shown_can_be_sent_back_and_changes_nothing(api: Api) -> None:
    _, network = await api.call("POST", "/networks/create", {"Name": "net"})
    id = await api.create(
        "web",
        Labels={"a": "b"},
        TaskTemplate={
            "ContainerSpec": {
                "Image": "demo:1",
                "Mounts": [{"Type": "volume", "Target": "/data", "Source": "vol"}],
                "Init": False,
                "StopGracePeriod": 0,
                "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000_000},
            },
            "Resources": {"Limits": {"NanoCPUs": 500_000_000}, "Reservations": {}},
            "Placement": {"Constraints": ["node.role==worker"], "Platforms": [{"OS": "linux"}]},
            "RestartPolicy": {"Delay": 0},
            "Networks": [{"Target": "net", "Aliases": ["w"]}],
        },
        Mode={"Replicated": {"Replicas": 0}},
        UpdateConfig={"Parallelism": 0, "Delay": 5},
        EndpointSpec={"Ports": [{"TargetPort": 80, "PublishedPort": 8080}]},
    )
    shown = await api.get(f"/services/{id}")
    assert shown["Spec"]["TaskTemplate"]["Networks"] == [{"Target": network["Id"], "Aliases": ["w"]}]
    assert shown["Spec"]["EndpointSpec"]["Ports"][0]["Protocol"] == "tcp"
    status, _ = await api.update(id, shown["Spec"])
    assert status == 200
    assert await api.get(f"/services/{id}") == shown


async def test_each_accepted_change_is_a_revision_and_a_new_version(api: Api) -> None:
    id = await api.create("web")
    before = await api.get(f"/services/{id}")
    api.manager.now += 5
    assert (await api.update(id, service("web", image="demo:2")))[0] == 200
    after = await api.get(f"/services/{id}")
    assert after["Version"]["Index"] > before["Version"]["Index"]
    assert after["UpdatedAt"] > before["UpdatedAt"]
    assert after["CreatedAt"] == before["CreatedAt"]
    assert api.manager.store.state.services[id].revision == 2


async def test_an_update_on_an_old_version_is_out_of_sequence(api: Api) -> None:
    id = await api.create("web")
    version = (await api.get(f"/services/{id}"))["Version"]["Index"]
    await api.update(id, service("web", image="demo:2"))
    status, value = await api.update(id, service("web", image="demo:3"), version=version)
    assert (status, value["message"][:22]) == (409, "update out of sequence")


async def test_a_version_shown_by_another_manager_is_waited_for() -> None:
    database = MemoryDatabase()
    behind = await new_manager(database)
    ahead = await new_manager(database)
    async with serve(behind) as old, serve(ahead) as new:
        id = await new.create("web")
        behind.store.cut()
        await new.update(id, service("web", image="demo:2"))
        version = (await new.get("/services/web"))["Version"]["Index"]
        asking = asyncio.ensure_future(old.update(id, service("web", image="demo:3"), version=version))
        await asyncio.sleep(0.05)
        behind.store.heal()
        assert (await asking)[0] == 200
        assert (await new.get("/services/web"))["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] == "demo:3"


async def test_renaming_and_changing_the_mode_are_refused_in_dockers_words(api: Api) -> None:
    id = await api.create("web")
    status, value = await api.update(id, service("shop"))
    assert (status, value["message"]) == (501, "renaming services is not supported (web to shop)")
    status, value = await api.update(id, service("web", Mode={"Global": {}}))
    assert (status, value["message"]) == (501, "service mode change is not allowed")


async def test_two_managers_cannot_give_one_name_twice() -> None:
    database = MemoryDatabase()
    managers = [await new_manager(database) for _ in range(3)]
    async with serve(managers[0]) as a, serve(managers[1]) as b, serve(managers[2]) as c:
        apis = [a, b, c]
        answers = await asyncio.gather(*(api.call("POST", "/services/create", service("web")) for api in apis))
        assert sorted(status for status, _ in answers) == [201, 409, 409]
        messages = {value["message"] for status, value in answers if status == 409}
        assert messages == {"name conflicts with an existing object: service web already exists"}
        assert len(managers[0].store.state.services) == 1


async def test_a_write_that_was_overtaken_unseen_is_out_of_sequence() -> None:
    database = MemoryDatabase()
    blind, other = await new_manager(database), await new_manager(database)
    async with serve(blind) as a, serve(other) as b:
        id = await b.create("web")
        version = (await a.get("/services/web"))["Version"]["Index"]
        blind.store.cut()
        await b.update(id, service("web", image="demo:2"))
        blind.store._connected = True  # its watch is late: it can write, and has not seen the other's write
        status, value = await a.update(id, service("web", image="demo:3"), version=version)
        assert (status, "update out of sequence" in value["message"]) == (409, True)


async def test_the_claim_of_an_owner_that_is_gone_is_void(api: Api) -> None:
    await api.manager.store.commit([Put(CLAIM, "service.web", Claim("nobody"))])
    await api.create("web")


async def test_a_removed_service_is_gone_and_its_name_is_free(api: Api) -> None:
    id = await api.create("web")
    assert (await api.call("DELETE", "/services/web"))[0] == 200
    assert (await api.call("GET", f"/services/{id}"))[0] == 404
    assert await api.get("/services") == []
    assert not api.manager.store.state.table(CLAIM)
    assert await api.create("web") != id


async def test_a_published_port_belongs_to_one_service(api: Api) -> None:
    ports = {"Ports": [{"TargetPort": 80, "PublishedPort": 8080}]}
    id = await api.create("web", EndpointSpec=ports)
    status, value = await api.call("POST", "/services/create", service("shop", EndpointSpec=ports))
    assert status == 400
    assert value["Reason"] == {
        "Code": "port-taken", "Facts": {"port": 8080, "service": "web", "service_id": id, "mode": "ingress"},
    }  # fmt: skip
    assert value["message"] == f"port '8080' is already in use by service 'web' ({id}) as an ingress port"
    udp = {"Ports": [{"TargetPort": 80, "PublishedPort": 8080, "Protocol": "udp"}]}
    await api.create("shop", EndpointSpec=udp)
    assert (await api.update(id, service("web", EndpointSpec=ports)))[0] == 200


async def test_a_clash_of_ports_names_the_mode_of_the_one_that_has_it(api: Api) -> None:
    def mode(name: str) -> dict[str, object]:
        return {"Ports": [{"TargetPort": 80, "PublishedPort": 8080, "PublishMode": name}]}

    id = await api.create("web", EndpointSpec=mode("host"))
    _, value = await api.call("POST", "/services/create", service("shop", EndpointSpec=mode("ingress")))
    assert value["message"] == f"port '8080' is already in use by service 'web' ({id}) as a host-published port"


async def test_a_published_port_belongs_to_one_service_at_each_address_of_the_hosts(api: Api) -> None:
    def at(host_ip: str) -> dict[str, object]:
        return {"Ports": [{"TargetPort": 80, "PublishedPort": 8080, "HostIP": host_ip}]}

    await api.create("local", EndpointSpec=at("127.0.0.1"))
    await api.create("lan", EndpointSpec=at("10.0.0.1"))
    for host_ip in ("127.0.0.1", ""):
        status, value = await api.call("POST", "/services/create", service("more", EndpointSpec=at(host_ip)))
        assert (status, "already in use" in value["message"]) == (400, True)


async def test_host_ports_may_be_shared_by_services_but_not_with_the_mesh(api: Api) -> None:
    host = {"Ports": [{"TargetPort": 80, "PublishedPort": 9000, "PublishMode": "host"}]}
    await api.create("one", EndpointSpec=host)
    await api.create("two", EndpointSpec=host)
    mesh = {"Ports": [{"TargetPort": 80, "PublishedPort": 9000}]}
    status, value = await api.call("POST", "/services/create", service("three", EndpointSpec=mesh))
    assert (status, "already in use" in value["message"]) == (400, True)


async def test_a_rollback_goes_to_what_was_in_force_before_and_a_second_one_forth_again(api: Api) -> None:
    id = await api.create("web")
    await in_force(api, id, 1)
    await api.update(id, service("web", image="demo:2"))
    await in_force(api, id, 2, previous=1)
    shown = await api.get("/services/web")
    assert shown["PreviousSpec"]["TaskTemplate"]["ContainerSpec"]["Image"] == "demo:1"
    assert (await api.update(id, shown["Spec"], rollback="previous"))[0] == 200
    stored = api.manager.store.state.services[id]
    assert (stored.revision, stored.rollback) == (3, True)
    assert stored.spec.task_template.container_spec.image == "demo:1"
    await in_force(api, id, 3, previous=2)
    await api.update(id, shown["Spec"], rollback="previous")
    assert (await api.get("/services/web"))["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] == "demo:2"


async def test_a_new_service_has_nowhere_to_roll_back_to(api: Api) -> None:
    id = await api.create("web")
    status, value = await api.update(id, service("web"), rollback="previous")
    assert (status, value["message"]) == (400, "service web does not have a previous spec")


async def test_after_an_automatic_rollback_the_spec_in_force_is_shown_and_the_bad_one_can_be_sent_again(
    api: Api,
) -> None:
    id = await api.create("web")
    await in_force(api, id, 1)
    await api.update(id, service("web", image="bad:1"))
    await in_force(api, id, 1, wanted=2)
    shown = await api.get("/services/web")
    assert shown["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] == "demo:1"
    await api.update(id, shown["Spec"])
    assert api.manager.store.state.services[id].revision == 2
    await api.update(id, service("web", image="bad:1"))
    assert api.manager.store.state.services[id].revision == 3


async def test_the_list_counts_tasks_only_when_asked(api: Api) -> None:
    id = await api.create("web", Mode={"Replicated": {"Replicas": 2}})
    await api.manager.store.commit([
        Put(TASK, "t1", Task("t1", id, 1, 1, W1, TaskState.ASSIGNED)),
        Put(STATUS, "t1", TaskStatus(TaskState.RUNNING)),
        Put(TASK, "t2", Task("t2", id, 1, 2, W1, TaskState.ASSIGNED, TaskState.SHUTDOWN)),
        Put(STATUS, "t2", TaskStatus(TaskState.RUNNING)),
    ])  # fmt: skip
    (with_status,) = await api.get("/services", status="true")
    assert with_status["ServiceStatus"] == {"RunningTasks": 1, "DesiredTasks": 2, "CompletedTasks": 0}
    (without,) = await api.get("/services")
    assert "ServiceStatus" not in without


async def test_filters_choose_services(api: Api) -> None:
    web = await api.create("web", Labels={"tier": "front"})
    agent = await api.create("web-agent", Mode={"Global": {}})

    async def found(**filters: list[str]) -> set[str]:
        return {s["ID"] for s in await api.get("/services", filters=filters)}

    assert await found(name=["web"]) == {web, agent}
    assert await found(name=["web-"]) == {agent}
    assert await found(id=[web[:8]]) == {web}
    assert await found(label=["tier"]) == await found(label=["tier=front"]) == {web}
    assert await found(label=["tier=back"]) == set()
    assert await found(mode=["global"]) == {agent}


async def test_defaults_are_written_out_only_on_request(api: Api) -> None:
    await api.create("web")
    assert "RollbackConfig" not in (await api.get("/services/web"))["Spec"]
    spec = (await api.get("/services/web", insertDefaults="true"))["Spec"]
    assert spec["RollbackConfig"]["Parallelism"] == 1
    assert spec["TaskTemplate"]["RestartPolicy"]["Condition"] == "any"
    assert spec["TaskTemplate"]["ContainerSpec"]["StopGracePeriod"] == 10_000_000_000


async def test_a_tag_is_resolved_once_and_a_later_tag_that_cannot_be_keeps_its_digest(api: Api) -> None:
    api.registry.manifests["docker.io/library/demo:1"] = Manifest(DIGEST, "m", 7, (("amd64", "linux", ""),))
    id = await api.create("web")
    pinned = f"demo:1@{DIGEST}"
    assert (await api.get("/services/web"))["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] == pinned
    api.registry.manifests.clear()
    api.manager.now += 60
    await api.update(id, service("web", Labels={"new": "yes"}))
    assert (await api.get("/services/web"))["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] == pinned


async def test_a_tag_that_nobody_can_resolve_is_warned_of_once(api: Api) -> None:
    _, value = await api.call("POST", "/services/create", service("one"))
    assert value["Warnings"] == [
        "image demo:1 could not be resolved to a digest (demo:1: registry says manifest unknown); hosts use the tag"
    ]
    _, value = await api.call("POST", "/services/create", service("two"))
    assert value["Warnings"] == []
    assert len(api.registry.asked) == 1


async def test_an_image_that_was_loaded_on_a_manager_is_pinned_to_its_id_without_asking_a_registry() -> None:
    async with serve(await new_manager(tags={M1: {"docker.io/library/demo:1": ID}})) as api:
        await api.create("web")
        image = (await api.get("/services/web"))["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
        assert image == f"demo:1@{ID}"
        assert api.registry.asked == []


async def test_what_a_worker_calls_its_images_is_not_asked() -> None:
    async with serve(await new_manager(tags={W1: {"docker.io/library/demo:1": ID}})) as api:
        await api.create("web")
        image = (await api.get("/services/web"))["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
        assert image == "demo:1"
        assert len(api.registry.asked) == 1


async def test_a_service_that_keeps_changing_while_it_is_removed_is_a_conflict_in_the_end(api: Api) -> None:
    id = await api.create("web")
    store = api.manager.store

    class Restless:
        """Somebody else is always faster."""

        def __init__(self) -> None:
            self.tries = 0

        async def commit(self, changes: list[object], fence: object = None) -> int:
            self.tries += 1
            await store.commit([Put(SERVICE, id, store.state.services[id])])
            return await store.commit(changes)  # type: ignore[arg-type]

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

    restless = Restless()
    api.manager.store = restless  # type: ignore[assignment]
    status, value = await api.call("DELETE", "/services/web")
    assert (status, value["message"]) == (409, "service web keeps changing; try again")
    assert restless.tries == ATTEMPTS


async def test_networks_that_are_gone_make_a_rollback_impossible(api: Api) -> None:
    _, network = await api.call("POST", "/networks/create", {"Name": "old"})
    template = {"ContainerSpec": {"Image": "demo:1"}, "Networks": [{"Target": "old"}]}
    id = await api.create("web", TaskTemplate=template)
    await in_force(api, id, 1)
    await api.update(id, service("web"))
    await in_force(api, id, 2, previous=1)
    await api.call("DELETE", "/networks/old")
    status, value = await api.update(id, service("web"), rollback="previous")
    assert (status, value["message"]) == (404, f"network {network['Id']} not found")
