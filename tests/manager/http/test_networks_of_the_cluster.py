"""Over HTTP: the ingress network removed and made again, and networks that overlap addresses of hosts."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from api.network.network_spec import INGRESS
from api.objects.decided import NetworkDecision
from api.objects.kinds import DESCRIPTION, NETWORK, NETWORK_DECISION
from manager.http.networks import ingress_network
from manager.store.interface import Delete, Put
from tests.manager.http.cluster_api import W1, Api

PUBLISHED = {"EndpointSpec": {"Ports": [{"TargetPort": 80, "PublishedPort": 8080}]}}
MESH = {"Name": "mesh", "Driver": "overlay", "Ingress": True, "IPAM": {"Config": [{"Subnet": "172.22.0.0/16"}]}}


async def test_the_mesh_s_network_is_kept_while_a_service_publishes_ports(api: Api) -> None:
    await api.create("web", **PUBLISHED)
    status, value = await api.call("DELETE", "/networks/ingress")
    assert (status, value["message"].partition(";")[0]) == (
        403, "ingress network cannot be removed because service web depends on it",
    )  # fmt: skip


async def test_the_mesh_s_network_is_removed_and_made_anew_when_the_former_one_is_gone(api: Api) -> None:
    store = api.manager.store
    assert (await api.call("DELETE", "/networks/ingress"))[0] == 204
    assert store.state.networks[INGRESS].removed
    status, value = await api.call("POST", "/services/create", {
        "Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "demo:1"}}, **PUBLISHED,
    })  # fmt: skip
    assert (status, value["message"].partition(";")[0]) == (
        400, "EndpointSpec.Ports: the routing mesh has no network now",
    )  # fmt: skip
    async with asyncio.TaskGroup() as group:
        making = group.create_task(api.call("POST", "/networks/create", MESH))
        await asyncio.sleep(0)
        await store.commit([Delete(NETWORK, INGRESS)])  # the leader, when no host has a bridge on it any more
    status, value = making.result()
    assert (status, value["Id"]) == (201, INGRESS)
    view = await api.get("/networks/mesh")
    assert (view["Ingress"], view["IPAM"]["Config"][0]["Subnet"]) == (True, "172.22.0.0/16")
    await api.create("web", **PUBLISHED)


async def test_another_network_for_the_mesh_waits_for_the_former_one_so_long_and_no_longer(api: Api) -> None:
    assert (await api.call("DELETE", "/networks/ingress"))[0] == 204
    patience, ingress_network.PATIENCE = ingress_network.PATIENCE, 0.05
    try:
        status, value = await api.call("POST", "/networks/create", MESH)
    finally:
        ingress_network.PATIENCE = patience
    assert (status, value["message"]) == (
        409, "Ingress: the former network of the routing mesh is not gone yet; try again",
    )  # fmt: skip


async def test_a_host_that_comes_with_an_overlap_is_told_of_at_the_node_and_at_the_network(api: Api) -> None:
    _, network = await api.call("POST", "/networks/create", {"Name": "net"})
    store = api.manager.store
    before = store.state.descriptions[W1]
    await store.commit([
        Put(NETWORK_DECISION, network["Id"], NetworkDecision("10.7.0.0/24", "10.7.0.192/26", 4098)),
        Put(DESCRIPTION, W1, replace(before, prefixes=["10.7.0.0/16", "10.8.0.0/16"])),
    ])  # fmt: skip

    message = (await api.get(f"/nodes/{W1}"))["Status"]["Message"]
    assert message.startswith("its 10.7.0.0/16 overlaps 10.7.0.0/24 of network net")
    assert (await api.get("/networks/net"))["Warnings"] == [
        "10.7.0.0/16 of host w1 overlaps its 10.7.0.0/24; make the network anew with another subnet,"
        " or change the host's addresses or routes"
    ]
    await api.create("web", TaskTemplate={
        "ContainerSpec": {"Image": "demo:1"}, "Networks": [{"Target": "net"}],
    })  # fmt: skip
    told = (await api.get("/argosy/v1/services/web/explain"))["Problems"]
    assert [(one["Reason"], one["Advice"]) for one in told if one["Code"] == "network"] == [(
        "network net: 10.7.0.0/16 of host w1 overlaps its 10.7.0.0/24",
        "make the network anew with another subnet, or change the host's addresses or routes",
    )]  # fmt: skip
    status, value = await api.call("POST", "/networks/create", {
        "Name": "other", "IPAM": {"Config": [{"Subnet": "10.8.3.0/24"}]},
    })  # fmt: skip
    assert (status, value["message"]) == (
        409, "IPAM.Config[0].Subnet: 10.8.3.0/24 overlaps 10.8.0.0/16 of host w1; choose another subnet",
    )  # fmt: skip

    await store.commit([Put(DESCRIPTION, W1, before)])
    assert "Message" not in (await api.get(f"/nodes/{W1}"))["Status"]
    assert "Warnings" not in await api.get("/networks/net")
