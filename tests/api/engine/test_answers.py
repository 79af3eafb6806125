"""Answers have the fields that Docker's have, and leave out those that Docker leaves out."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from api.codec import encode
from api.engine import argosy, common, distribution, events, networks, services, stored_files, swarm, tasks
from api.engine.common import Answer, VersionAnswer
from api.engine.events import EventAnswer
from api.engine.networks import NetworkAnswer
from api.engine.services import EncodedServiceAnswer, PortAnswer, ServiceAnswer
from api.engine.stored_files import StoredFileSpecAnswer
from api.engine.swarm import ClusterSpecAnswer, NodeSpecAnswer, SwarmInfoAnswer
from api.engine.tasks import EncodedTaskAnswer, TaskAnswer, TaskStatusAnswer
from api.service.ports import PortConfig
from api.service.service_spec import ServiceSpec, TaskSpec

V = VersionAnswer(7)


def plain(answer: Any) -> Any:
    """The JSON that a client reads."""
    return json.loads(encode(answer))


def test_what_is_empty_is_there_where_docker_has_it_and_left_out_elsewhere() -> None:
    assert plain(TaskStatusAnswer()) == {"Timestamp": "", "State": "", "Message": "", "Err": "", "PortStatus": {}}
    assert plain(StoredFileSpecAnswer()) == {"Name": "", "Labels": {}}
    assert plain(SwarmInfoAnswer()) == {
        "NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": False, "Error": "",
        "RemoteManagers": None,
    }  # fmt: skip


def test_names_are_docker_s() -> None:
    assert set(plain(NetworkAnswer("web", "id"))) == {
        "Name", "Id", "Created", "Scope", "Driver", "EnableIPv4", "EnableIPv6", "IPAM", "Internal", "Attachable",
        "Ingress", "ConfigFrom", "ConfigOnly", "Containers", "Options", "Labels",
    }  # fmt: skip
    assert set(plain(ClusterSpecAnswer())) == {
        "Name", "Labels", "Orchestration", "Raft", "Dispatcher", "CAConfig", "TaskDefaults", "EncryptionConfig",
    }  # fmt: skip
    assert set(plain(EventAnswer())) == {"Type", "Action", "Actor", "scope", "time", "timeNano"}


def test_defaults_that_are_not_zero_are_there() -> None:
    assert plain(NodeSpecAnswer()) == {"Labels": {}, "Role": "worker", "Availability": "active"}
    assert plain(PortAnswer.of(PortConfig(target_port=80))) == {
        "Protocol": "tcp", "TargetPort": 80, "PublishMode": "ingress",
    }  # fmt: skip


def test_fields_are_in_docker_s_order_and_specs_as_they_were_encoded() -> None:
    answer = EncodedServiceAnswer("s", V, "c", "u", msgspec.Raw(b'{"Name": "web"}'))

    assert encode(answer) == (
        b'{"ID":"s","Version":{"Index":7},"CreatedAt":"c","UpdatedAt":"u",'
        b'"Spec":{"Name": "web"},"Endpoint":{"Spec":{}}}'
    )


def test_our_command_line_reads_what_managers_encode() -> None:
    service = EncodedServiceAnswer("s", V, "c", "u", msgspec.Raw(encode(ServiceSpec("web"))))
    task = EncodedTaskAnswer("t", V, "c", "u", "web.1.t", {}, msgspec.Raw(b'{"ForceUpdate":3}'), "s", 1)

    read = msgspec.json.decode(encode(service), type=ServiceAnswer)
    assert (read.spec, read.version, read.stack) == (ServiceSpec("web"), V, "")
    assert msgspec.json.decode(encode(task), type=TaskAnswer).spec == TaskSpec(force_update=3)


def test_what_a_manager_of_another_version_leaves_out_is_at_its_default() -> None:
    modules = (argosy, common, distribution, events, networks, services, stored_files, swarm, tasks)
    kinds = [one for module in modules for one in vars(module).values() if isinstance(one, type)]

    needed = {
        f"{kind.__name__}.{field.name}"
        for kind in kinds
        if issubclass(kind, Answer)
        for field in msgspec.structs.fields(kind)
        if field.required
    }
    assert needed <= {"ErrorAnswer.message"}
