"""Answers of the cluster's part of the API match Docker's description of it."""

from __future__ import annotations

from typing import Any

import pytest

from api.objects.decided import Task, TaskAddress
from api.objects.kinds import STATUS, TASK
from api.objects.observed import PortStatus, TaskStatus
from api.states import TaskState
from manager.store.interface import Put
from tests.e2e.openapi import faults
from tests.manager.http.cluster_api import W1, Api, service

PATHS = (
    "/services", "/services/{id}", "/tasks", "/tasks/{id}", "/nodes", "/nodes/{id}", "/swarm", "/networks",
    "/networks/{id}", "/secrets", "/secrets/{id}", "/configs", "/configs/{id}",
)  # fmt: skip
MISDESCRIBED = ("NetworksAttachments[].Network.", "/networks[].Containers")
"""Docker itself answers these in its old form: swarmkit's networks in tasks, and whole networks in lists."""
PORT = {"TargetPort": 80, "PublishedPort": 8080}


@pytest.mark.parametrize("path", PATHS)
async def test_answers_are_as_described(api: Api, path: str) -> None:
    ids = await everything(api)

    answer = await api.get(path.replace("{id}", ids.get(path.split("/")[1], "")))

    assert [fault for fault in faults(path, answer) if not any(place in fault for place in MISDESCRIBED)] == []


async def everything(api: Api) -> dict[str, Any]:
    """One of each: ids by kind."""
    network = (await api.call("POST", "/networks/create", {"Name": "front"}))[1]["Id"]
    template = {"ContainerSpec": {"Image": "demo:1"}, "Networks": [{"Target": "front"}]}
    id = await api.create("web", TaskTemplate=template, EndpointSpec={"Ports": [PORT]}, Labels={"a": "b"})
    await api.update(id, service("web", TaskTemplate=template, Labels={"a": "c"}))
    task = Task("t1", id, 1, 1, W1, TaskState.ASSIGNED, addresses=[TaskAddress(network, "10.0.0.2/24")])
    status = TaskStatus(TaskState.RUNNING, 5.0, container_id="c" * 64, ports=[PortStatus("tcp", 80, 8080)])
    await api.manager.store.commit([Put(TASK, "t1", task), Put(STATUS, "t1", status)])
    file = {"Name": "word", "Data": "b3Blbg=="}
    secret = (await api.call("POST", "/secrets/create", file))[1]["ID"]
    config = (await api.call("POST", "/configs/create", file))[1]["ID"]
    return {
        "services": id, "tasks": "t1", "nodes": W1, "networks": network, "secrets": secret, "configs": config,
    }  # fmt: skip
