"""From orders to plans: templates, and the generic resources a task was given."""

from __future__ import annotations

import msgspec
import pytest

from agent.lifecycle.container_plan import container_of, resource_variables, sandbox_of, spec_for
from agent.runtime.interface import Image, RuntimeFailure
from api.service.resources import DiscreteResource, GenericResource, NamedResource
from tests.agent.builders import IMAGE, a_spec, a_task

GPUS = [
    GenericResource(named_resource_spec=NamedResource("gpu", "UUID1")),
    GenericResource(named_resource_spec=NamedResource("gpu", "UUID2")),
    GenericResource(discrete_resource_spec=DiscreteResource("ssd", 3)),
]


def test_templates_are_expanded_for_the_task_and_its_host() -> None:
    order = a_task()
    spec = a_spec(hostname="{{.Service.Name}}-{{.Task.Slot}}", env=["ON={{.Node.Hostname}}/{{.Service.Labels.tier}}"])
    spec = msgspec.structs.replace(spec, service_labels={"tier": "front"})
    made = spec_for(order, spec, "n1", "host1", "x86_64")
    assert made.task.container_spec.env == ["ON=host1/front"]
    assert sandbox_of(order, made).hostname == "web-1"
    plan = container_of(order, made, "n1", Image("sha256:aa", (IMAGE,), ()), "", {})
    assert plan.hostname == "web-1"


def test_a_template_that_cannot_be_expanded_rejects_the_task() -> None:
    with pytest.raises(RuntimeFailure, match=r"no \.Service\.Labels\.tier"):
        spec_for(a_task(), a_spec(env=["A={{.Service.Labels.tier}}"]), "n1", "host1", "x86_64")


def test_a_spec_without_templates_is_the_same() -> None:
    spec = a_spec(env=["A=1"])
    assert spec_for(a_task(), spec, "n1", "host1", "x86_64") is spec


def test_generic_resources_are_named_in_the_environment() -> None:
    assert resource_variables(GPUS) == ("DOCKER_RESOURCE_GPU=UUID1,UUID2", "DOCKER_RESOURCE_SSD=3")
    order = msgspec.structs.replace(a_task(), generic_resources=GPUS)
    plan = container_of(order, a_spec(), "n1", Image("sha256:aa", (IMAGE,), ()), "", {})
    assert "DOCKER_RESOURCE_SSD=3" in plan.env
