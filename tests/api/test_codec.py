"""Values to JSON and back."""

from __future__ import annotations

import msgspec
import pytest

from api.codec import decode, encode, shown
from api.objects.observed import TaskStatus
from api.service.container import FileTarget
from api.service.mode import EmptyMode, Mode, Replicated
from api.service.ports import PortConfig
from api.service.service_spec import ServiceSpec, UpdateConfig
from api.states import TaskState


def test_fields_are_spelled_as_docker_spells_them_and_defaults_left_out() -> None:
    assert encode(ServiceSpec(name="web", mode=Mode(global_=EmptyMode()))) == b'{"Name":"web","Mode":{"Global":{}}}'
    assert encode(TaskStatus(TaskState.RUNNING, pid=7)) == b'{"State":"running","PID":7}'


def test_what_was_encoded_is_decoded_and_newer_fields_are_ignored() -> None:
    spec = ServiceSpec(name="web", mode=Mode(Replicated(0)))
    assert decode(ServiceSpec, encode(spec)) == spec
    assert decode(ServiceSpec, b'{"Name":"web","Colour":"red"}') == ServiceSpec(name="web")


def test_shown_values_spell_out_defaults_that_are_not_zero_and_zeros_that_say_something() -> None:
    assert shown(PortConfig(target_port=80)) == {"Protocol": "tcp", "TargetPort": 80, "PublishMode": "ingress"}
    assert shown(FileTarget()) == {"UID": "0", "GID": "0", "Mode": 0o444}
    assert shown(Mode(Replicated(0))) == {"Replicated": {"Replicas": 0}}
    assert shown(UpdateConfig(parallelism=0)) == {"Parallelism": 0}
    assert shown({"a": [TaskState.NEW]}) == {"a": ["new"]}


def test_every_kind_of_value_is_frozen() -> None:
    with pytest.raises(AttributeError):
        ServiceSpec().name = "web"  # type: ignore[misc]
    assert issubclass(ServiceSpec, msgspec.Struct)
