"""Tasks, nodes, networks and the cluster over HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from api.objects.decided import Gateway, NetworkDecision, NodeDecision, Revision, Task, TaskAddress
from api.objects.kinds import CLAIM, MEMBER, NETWORK_DECISION, NODE_DECISION, REVISION, STATUS, TASK, revision_id
from api.objects.observed import LiveManager, PortStatus, TaskStatus  # fmt: skip
from api.reasons.reason import Code, reason
from api.states import NodeState, TaskState
from manager.store.in_memory import MemoryDatabase
from manager.store.interface import Put
from tests.manager.http.cluster_api import M1, NOW, W1, W2, Api, new_manager, serve, service

NO_NODE = reason(Code.NO_SUITABLE_NODE)


async def with_tasks(api: Api) -> str:
    """A service of three tasks: one runs, one failed, one waits for a node; returns the service's id."""
    _, network = await api.call("POST", "/networks/create", {"Name": "net"})
    id = await api.create("web", Labels={"tier": "front"})
    spec = api.manager.store.state.services[id].spec
    address = [TaskAddress(network["Id"], "10.0.1.7/24")]
    running = TaskStatus(TaskState.RUNNING, NOW, "started", "", "c1", 42, ports=[PortStatus("tcp", 80, 90)])
    await api.manager.store.commit([
        Put(REVISION, revision_id(id, 1), Revision(id, 1, spec)),
        Put(NETWORK_DECISION, network["Id"], NetworkDecision("10.0.1.0/24", "10.0.1.192/26", 4098)),
        Put(TASK, "t1", Task("t1", id, 1, 1, W1, TaskState.ASSIGNED, addresses=address, created_at=NOW)),
        Put(STATUS, "t1", running),
        Put(TASK, "t2", Task("t2", id, 1, 2, W2, TaskState.ASSIGNED, TaskState.SHUTDOWN, created_at=NOW + 1)),
        Put(STATUS, "t2", TaskStatus(TaskState.FAILED, NOW, "started", "task: non-zero exit (3)", "c2", 0, 3)),
        Put(TASK, "t3", Task("t3", id, 1, 2, "", TaskState.PENDING, created_at=NOW + 2, reason=NO_NODE)),
    ])  # fmt: skip
    return id


async def test_a_task_joins_what_was_decided_observed_and_wanted(api: Api) -> None:
    id = await with_tasks(api)
    task = await api.get("/tasks/t1")
    assert (task["ServiceID"], task["NodeID"], task["Slot"], task["DesiredState"]) == (id, W1, 1, "running")
    assert task["Status"] == {
        "Timestamp": "2023-11-14T22:13:20.250000000Z", "State": "running", "Message": "started", "Err": "",
        "ContainerStatus": {"ContainerID": "c1", "PID": 42, "ExitCode": 0},
        "PortStatus": {"Ports": [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 90, "PublishMode": "host"}]},
    }  # fmt: skip
    assert task["Spec"]["ContainerSpec"]["Image"] == "demo:1"
    (attachment,) = task["NetworksAttachments"]
    assert (attachment["Network"]["Spec"]["Name"], attachment["Addresses"]) == ("net", ["10.0.1.7/24"])
    failed = (await api.get("/tasks/t2"))["Status"]
    assert (failed["Err"], failed["ContainerStatus"]["ExitCode"]) == ("task: non-zero exit (3)", 3)
    waiting = (await api.get("/tasks/t3"))["Status"]
    assert (waiting["State"], waiting["Message"], waiting["Err"]) == (
        "pending", "pending task scheduling", "no suitable node",
    )  # fmt: skip


async def test_a_task_that_was_told_to_stop_says_why(api: Api) -> None:
    id = await with_tasks(api)
    drained = Task("t4", id, 1, 3, W2, TaskState.ASSIGNED, TaskState.SHUTDOWN, reason=reason(Code.NODE_DRAINED))
    await api.manager.store.commit([
        Put(TASK, "t4", drained), Put(STATUS, "t4", TaskStatus(TaskState.SHUTDOWN, NOW, container_id="c4")),
    ])  # fmt: skip
    assert (await api.get("/tasks/t4"))["Status"]["Err"] == "the node is being drained"


async def test_filters_choose_tasks(api: Api) -> None:
    id = await with_tasks(api)

    async def found(**filters: list[str]) -> list[str]:
        return [task["ID"] for task in await api.get("/tasks", filters=filters)]

    assert await found() == ["t1", "t2", "t3"]
    assert await found(service=["web"]) == await found(service=[id]) == ["t1", "t2", "t3"]
    assert await found(node=["w1"]) == ["t1"]
    assert await found(**{"desired-state": ["running"]}) == ["t1", "t3"]
    assert await found(label=["tier=front"]) == ["t1", "t2", "t3"]
    assert await found(label=["tier=back"]) == []
    assert await found(name=["web.2."]) == ["t2", "t3"]
    assert await found(id=["t2", "t3"]) == ["t2", "t3"]
    assert await found(**{"_up-to-date": ["true"]}) == ["t1", "t2", "t3"]


async def test_docker_s_client_that_waits_for_a_job_gets_its_slots_from_zero(api: Api) -> None:
    id = await api.create("job", Mode={"ReplicatedJob": {}})
    shown = await api.get(f"/services/{id}")
    assert shown["Spec"]["Mode"] == {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}
    assert shown["JobStatus"]["JobIteration"] == {"Index": 1}  # before there is a task
    await api.manager.store.commit([Put(TASK, "t1", Task("t1", id, 1, 1, W1, TaskState.ASSIGNED, job_iteration=1))])
    query = {"filters": json.dumps({"_up-to-date": ["true"]})}

    async def slot(agent: str, params: dict[str, str]) -> int:
        async with api.client.get("/tasks", params=params, headers={"User-Agent": agent}) as response:
            return int((await response.json())[0].get("Slot", 0))  # as Docker, 0 is left out

    assert await slot("Docker-Client/28.2.2 (linux)", query) == 0
    assert await slot("Docker-Client/28.2.2 (linux)", {}) == 1
    assert await slot("argosy", query) == 1


async def test_up_to_date_is_a_task_whose_template_the_newest_revision_left_alone(api: Api) -> None:
    id = await with_tasks(api)

    async def current() -> int:
        return len(await api.get("/tasks", filters={"_up-to-date": ["true"], "service": [id]}))

    await api.update(id, service("web", Mode={"Replicated": {"Replicas": 5}}, Labels={"tier": "front"}))
    assert await current() == 3
    await api.update(id, service("web", image="demo:2"))
    assert await current() == 0


async def test_tasks_of_a_removed_service_are_listed_by_its_id_until_they_are_gone(api: Api) -> None:
    id = await with_tasks(api)
    await api.call("DELETE", "/services/web")
    assert len(await api.get("/tasks", filters={"service": [id], "label": ["tier"]})) == 3


async def test_nodes_show_who_leads_and_what_they_are(api: Api) -> None:
    nodes = {node["ID"]: node for node in await api.get("/nodes")}
    assert nodes[M1]["ManagerStatus"] == {"Leader": True, "Reachability": "reachable", "Addr": "10.1.0.1:2377"}
    assert "ManagerStatus" not in nodes[W1]
    assert nodes[W1]["Status"] == {"State": "ready", "Addr": "10.1.0.2"}
    assert nodes[W1]["Description"]["Resources"] == {"NanoCPUs": 2_000_000_000, "MemoryBytes": 4 << 30}
    assert nodes[W1]["Spec"] == {"Labels": {}, "Role": "worker", "Availability": "active"}
    assert nodes[W1]["Description"]["TLSInfo"] == (await api.get("/swarm"))["TLSInfo"]
    for reference in ("self", "m1", M1, M1[:3]):
        assert (await api.get(f"/nodes/{reference}"))["ID"] == M1


async def test_filters_choose_nodes(api: Api) -> None:
    version = (await api.get("/nodes/w2"))["Version"]["Index"]
    spec = {"Labels": {"zone": "a"}, "Role": "worker", "Availability": "active"}
    assert (await api.call("POST", "/nodes/w2/update", spec, version=version))[0] == 200

    async def found(**filters: list[str]) -> list[str]:
        return [node["Description"]["Hostname"] for node in await api.get("/nodes", filters=filters)]

    assert await found(role=["manager"]) == ["m1"]
    assert await found(label=["disk=ssd"]) == ["w1"]
    assert await found(**{"node.label": ["zone=a"]}) == ["w2"]
    assert await found(name=["w"]) == ["w1", "w2"]
    assert await found(membership=["pending"]) == []
    assert await found(id=[W1[:4]]) == ["w1"]


async def change_role(api: Api, node: str, role: str) -> tuple[int, str]:
    """Code and message."""
    version = (await api.get(f"/nodes/{node}"))["Version"]["Index"]
    status, value = await api.call("POST", f"/nodes/{node}/update", {"Role": role}, version=version)
    return status, value["message"] if value else ""


async def test_a_worker_is_promoted_and_a_manager_demoted_by_the_role_of_its_spec(api: Api) -> None:
    assert await change_role(api, "w1", "manager") == (200, "")
    assert (await api.get("/nodes/w1"))["Spec"]["Role"] == "manager"
    assert (await api.get("/nodes/w1"))["ManagerStatus"]["Reachability"] == "unreachable"
    await api.manager.store.commit([Put(MEMBER, W1, LiveManager("10.1.0.2:2377", NOW))])
    assert await change_role(api, "m1", "worker") == (200, "")
    assert api.manager.removed == []  # it lives, and takes itself out


async def test_the_last_manager_and_the_quorum_cannot_be_demoted_away(api: Api) -> None:
    assert await change_role(api, "m1", "worker") == (400, "attempting to demote the last manager of the swarm")
    await change_role(api, "w1", "manager")
    status, message = await change_role(api, "m1", "worker")
    assert (status, "would result in a loss of quorum (0 of the 1 managers" in message) == (400, True)


async def test_a_dead_manager_is_taken_out_of_the_store_when_it_is_demoted_and_can_be_removed(api: Api) -> None:
    await change_role(api, "w1", "manager")
    await api.manager.store.commit([Put(NODE_DECISION, W1, NodeDecision(NodeState.DOWN, NOW))])
    assert (await api.call("DELETE", "/nodes/w1"))[0] == 400
    assert await change_role(api, "w1", "worker") == (200, "")
    assert api.manager.removed == [W1]
    assert (await api.call("DELETE", "/nodes/w1"))[0] == 200


async def test_a_node_that_is_down_can_be_removed(api: Api) -> None:
    await api.manager.store.commit([Put(NODE_DECISION, W2, NodeDecision(NodeState.DOWN, NOW, "heartbeat failure"))])
    assert (await api.get("/nodes/w2"))["Status"]["Message"] == "heartbeat failure"
    assert (await api.call("DELETE", "/nodes/w2"))[0] == 200
    assert (await api.call("GET", "/nodes/w2"))[0] == 404


async def test_a_network_shows_its_subnet_peers_and_containers_here(api: Api) -> None:
    _, made = await api.call("POST", "/networks/create", {"Name": "net", "Labels": {"a": "b"}, "CheckDuplicate": True})
    id = made["Id"]
    service_id = await api.create(
        "web", TaskTemplate={"ContainerSpec": {"Image": "demo:1"}, "Networks": [{"Target": "net"}]}
    )
    address = TaskAddress(id, "10.0.1.7/24")
    await api.manager.store.commit([
        Put(NETWORK_DECISION, id, NetworkDecision("10.0.1.0/24", "10.0.1.192/26", 4098)),
        Put(NODE_DECISION, M1, NodeDecision(NodeState.READY, NOW, gateways=[Gateway(id, "10.0.1.2/24")])),
        Put(TASK, "t1", Task("t1", service_id, 1, 1, M1, TaskState.ASSIGNED, addresses=[address])),
        Put(STATUS, "t1", TaskStatus(TaskState.RUNNING, NOW, container_id="c1")),
    ])  # fmt: skip
    view = await api.get("/networks/net", verbose="true")
    assert view["IPAM"]["Config"] == [{"Subnet": "10.0.1.0/24", "Gateway": "10.0.1.1"}]
    assert view["Options"] == {"com.docker.network.driver.overlay.vxlanid_list": "4098"}
    assert view["Peers"] == [{"Name": M1[:12], "IP": "10.1.0.1"}]
    assert view["Containers"]["c1"]["IPv4Address"] == "10.0.1.7/24"
    assert view["Services"]["web"]["Tasks"][0]["EndpointIP"] == "10.0.1.7"
    assert await api.get(f"/networks/{id[:7]}", verbose="true") == view
    status, value = await api.call("DELETE", "/networks/net")
    assert (status, value["message"]) == (409, f"network net ({id}) is in use by service web")


async def test_filters_choose_networks(api: Api) -> None:
    await api.call("POST", "/networks/create", {"Name": "shop_front", "Labels": {"stack": "shop"}})

    async def found(**filters: list[str]) -> list[str]:
        return [network["Name"] for network in await api.get("/networks/", filters=filters)]

    assert await found() == ["bridge", "host", "none", "ingress", "shop_front"]
    assert await found(driver=["overlay"]) == ["ingress", "shop_front"]
    assert await found(name=["front"]) == await found(label=["stack=shop"]) == await found(type=["custom"]) == [
        "shop_front"
    ]  # fmt: skip
    assert await found(scope=["local"]) == ["bridge", "host", "none"]
    assert await found(dangling=["true"]) == ["shop_front"]


async def test_predefined_networks_are_found_by_name_and_id_and_in_scope_swarm_for_services(api: Api) -> None:
    view = await api.get("/networks/bridge")
    assert await api.get(f"/networks/{view['Id'][:12]}") == view
    status, of_swarm = await api.call("GET", "/networks/host", scope="swarm")
    assert (status, of_swarm["Id"], of_swarm["Scope"]) == (200, "host", "swarm")
    assert (await api.get("/networks/ingress", scope="swarm"))["Ingress"] is True


async def test_a_removed_network_is_hidden_and_its_name_free_while_tasks_still_stop(api: Api) -> None:
    _, old = await api.call("POST", "/networks/create", {"Name": "net"})
    assert (await api.call("DELETE", "/networks/net"))[0] == 204
    assert api.manager.store.state.networks[old["Id"]].removed
    assert (await api.call("GET", f"/networks/{old['Id']}"))[0] == 404
    assert not api.manager.store.state.table(CLAIM)
    status, new = await api.call("POST", "/networks/create", {"Name": "net"})
    assert (status, new["Id"] != old["Id"]) == (201, True)
    status, value = await api.call("POST", "/networks/create", {"Name": "net"})
    assert (status, value["message"]) == (409, "network with name net already exists")


async def test_subnets_that_overlap_are_refused(api: Api) -> None:
    def body(name: str, subnet: str) -> dict[str, Any]:
        return {"Name": name, "IPAM": {"Config": [{"Subnet": subnet}]}}

    await api.call("POST", "/networks/create", body("one", "10.9.0.0/16"))
    status, value = await api.call("POST", "/networks/create", body("two", "10.9.8.0/24"))
    assert (status, value["message"]) == (
        409, "IPAM.Config[0].Subnet: 10.9.8.0/24 overlaps with 10.9.0.0/16 of network one",
    )  # fmt: skip


async def test_two_managers_cannot_make_one_network_twice() -> None:
    database = MemoryDatabase()
    async with serve(await new_manager(database)) as a, serve(await new_manager(database)) as b:
        answers = await asyncio.gather(*(api.call("POST", "/networks/create", {"Name": "net"}) for api in (a, b)))
        assert sorted(status for status, _ in answers) == [201, 409]


async def test_prune_removes_what_no_service_is_on(api: Api) -> None:
    for name in ("used", "idle", "kept"):
        await api.call("POST", "/networks/create", {"Name": name, "Labels": {"keep": "1"} if name == "kept" else {}})
    await api.create("web", TaskTemplate={"ContainerSpec": {"Image": "demo"}, "Networks": [{"Target": "used"}]})
    _, value = await api.call("POST", "/networks/prune", filters={"label!": ["keep"]})
    assert value == {"NetworksDeleted": ["idle"]}


async def test_rotating_a_token_changes_that_token_only(api: Api) -> None:
    before = await api.get("/swarm")
    version = before["Version"]["Index"]
    status, _ = await api.call("POST", "/swarm/update", before["Spec"], version=version, rotateWorkerToken="true")
    after = await api.get("/swarm")
    assert status == 200
    assert after["JoinTokens"]["Worker"] != before["JoinTokens"]["Worker"]
    assert after["JoinTokens"]["Manager"] == before["JoinTokens"]["Manager"]
    assert after["Spec"] == before["Spec"]


async def test_a_swarm_update_that_says_nothing_new_writes_nothing(api: Api) -> None:
    before = await api.get("/swarm")
    assert (await api.call("POST", "/swarm/update", before["Spec"], version=before["Version"]["Index"]))[0] == 200
    assert await api.get("/swarm") == before
    changed = {**before["Spec"], "Raft": {"SnapshotInterval": 5}}
    status, value = await api.call("POST", "/swarm/update", changed, version=before["Version"]["Index"])
    assert (status, value["message"]) == (501, "Raft.SnapshotInterval: not supported")


async def test_the_swarm_block_of_info_names_the_managers_and_counts_the_nodes(api: Api) -> None:
    block = (await api.get("/info"))["Swarm"]
    assert (block["NodeID"], block["NodeAddr"], block["Nodes"], block["Managers"]) == (M1, "10.1.0.1", 3, 1)
    assert block["RemoteManagers"] == [{"NodeID": M1, "Addr": "10.1.0.1:2377"}]
    assert "JoinTokens" not in block["Cluster"]


async def test_secrets_and_configs_are_empty_lists_at_first(api: Api) -> None:
    assert await api.get("/secrets", filters={"name": ["x"]}) == await api.get("/v1.41/configs") == []
