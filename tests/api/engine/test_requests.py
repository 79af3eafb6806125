"""Requests are read as Docker's clients write them."""

from __future__ import annotations

from typing import Any

import pytest

from api.engine.requests import convert_request, read_request
from api.errors import Invalid, Unimplemented
from api.service.container import Mount, VolumeOptions
from api.service.mode import EmptyMode, Mode, Replicated
from api.service.service_spec import ServiceSpec


def test_keys_are_read_in_any_case_at_every_level() -> None:
    spec = read_request(
        ServiceSpec, b'{"name":"web","MODE":{"global":{}},"taskTemplate":{"ContainerSPEC":{"image":"a"}}}'
    )

    assert (spec.name, spec.mode) == ("web", Mode(global_=EmptyMode()))
    assert spec.task_template.container_spec.image == "a"


def test_keys_are_read_in_any_case_inside_lists() -> None:
    mounts = [{"type": "volume", "TARGET": "/a", "volumeOptions": {"nocopy": True}}]
    spec = convert_request(ServiceSpec, {"TaskTemplate": {"ContainerSpec": {"mounts": mounts}}})

    assert spec.task_template.container_spec.mounts == [
        Mount(type="volume", target="/a", volume_options=VolumeOptions(no_copy=True))
    ]


def test_keys_of_free_form_maps_are_data() -> None:
    labels = {"Name": "a", "name": "b", "MODE": "c"}

    assert convert_request(ServiceSpec, {"labels": labels}).labels == labels


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"Name":"a","name":"b"}', "b"),
        (b'{"name":"b","Name":"a"}', "a"),
        (b'{"name":"b","NAME":"c"}', "c"),
        (b'{"name":"b","Name":null}', "b"),
    ],
)
def test_of_two_keys_for_one_field_the_later_counts(body: bytes, name: str) -> None:
    assert read_request(ServiceSpec, body).name == name


def test_letters_fold_as_go_folds_them() -> None:
    """Go's simple folding takes ſ and the Kelvin sign for s and k, and ß for no two letters."""
    assert read_request(ServiceSpec, '{"labelſ":{"a":"b"}}').labels == {"a": "b"}
    assert read_request(ServiceSpec, '{"TaſKTemplate":{"ForceUpdate":1}}').task_template.force_update == 1
    assert read_request(ServiceSpec, '{"labelß":{"a":"b"}}').labels == {}


def test_null_is_as_if_the_key_were_not_there() -> None:
    assert read_request(ServiceSpec, b'{"Name":"web","Labels":null,"TaskTemplate":{"Networks":null}}').name == "web"


def test_unknown_keys_are_ignored_as_docker_ignores_them() -> None:
    assert read_request(ServiceSpec, b'{"Name":"web","Colour":"red","Mode":{"Speed":9}}') == ServiceSpec(name="web")


def test_unknown_keys_of_our_own_clients_are_named_unless_they_say_nothing() -> None:
    assert read_request(ServiceSpec, b'{"Colour":null,"Size":0,"Tags":[]}', strict=True) == ServiceSpec()
    body = b'{"Colour":"red","TaskTemplate":{"Networks":[{"Target":"n","Speed":9}]}}'
    with pytest.raises(Invalid, match=r"^unknown field \$\.Colour, \$\.TaskTemplate\.Networks\[0\]\.Speed$"):
        read_request(ServiceSpec, body, strict=True)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("key", ["PluginSpec", "pluginSpec"])
def test_what_docker_has_and_argosy_lacks_is_refused_by_name(key: str, strict: bool) -> None:
    with pytest.raises(Unimplemented, match=rf"^TaskTemplate\.{key}: plugins are not supported by Argosy$"):
        convert_request(ServiceSpec, {"TaskTemplate": {key: {"Name": "x"}}}, strict=strict)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"name": []}, "Name: must be a string, not a list"),
        ({"mode": {"replicated": {"replicas": "2"}}}, "Mode.Replicated.Replicas: must be a whole number, not '2'"),
        ({"labels": {"a": 1}}, "Labels.a: must be a string, not 1"),
    ],
)
def test_wrong_types_are_refused_with_the_path_of_the_field(body: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Invalid) as refusal:
        convert_request(ServiceSpec, body)

    assert str(refusal.value) == sentence


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"7", b'{"Name":[]}', b"\xff"])
def test_whatever_a_client_sends_is_a_value_or_invalid(data: bytes) -> None:
    with pytest.raises(Invalid):
        read_request(ServiceSpec, data)


def test_docker_py_writes_modes_in_lower_case() -> None:
    assert convert_request(ServiceSpec, {"Mode": {"replicated": {"Replicas": 2}}}).mode == Mode(Replicated(2))
