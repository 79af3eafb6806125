"""Services whose secrets go where hosts say of themselves that they should."""

from __future__ import annotations

import pytest

from api.service.container import ContainerSpec, SecretReference
from api.service.placement import Placement
from api.service.resources import DiscreteResource, GenericResource, Reservations, Resources
from api.service.self_declared import secrets_warning, self_declared
from api.service.service_spec import ServiceSpec, TaskSpec

SECRET = SecretReference(secret_id="x", secret_name="x")


def spec(*constraints: str, secrets: bool = True, resources: Resources | None = None) -> ServiceSpec:
    """A service placed by constraints."""
    container = ContainerSpec(image="x", secrets=[SECRET] if secrets else [])
    return ServiceSpec(
        "web", task_template=TaskSpec(container, placement=Placement(list(constraints)), resources=resources)
    )


@pytest.mark.parametrize(
    ("constraint", "named"),
    [
        ("node.hostname==db1", ["node.hostname"]),
        ("node.hostname != w1", ["node.hostname"]),
        ("node.ip==10.0.0.1", ["node.ip"]),
        ("node.platform.arch==amd64", ["node.platform.arch"]),
        ("engine.labels.secure==yes", ["engine.labels.secure"]),
        ("Engine.Labels.secure==yes", ["Engine.Labels.secure"]),
        ("node.id==x", []),
        ("node.role==manager", []),
        ("node.labels.secure==yes", []),
        ("Node.Labels.secure==yes", []),
    ],
)  # fmt: skip
def test_what_a_host_says_of_itself_is_named(constraint: str, named: list[str]) -> None:
    assert self_declared(spec(constraint)) == named
    assert bool(secrets_warning(spec(constraint))) is bool(named)
    assert secrets_warning(spec(constraint, secrets=False)) == ""


def test_generic_resources_are_a_hosts_own_word_too() -> None:
    reserved = Resources(
        reservations=Reservations(
            generic_resources=[GenericResource(discrete_resource_spec=DiscreteResource("gpu", 1))]
        )
    )
    assert secrets_warning(spec(resources=reserved)) == (
        "its secrets go to hosts chosen by generic resource gpu, which hosts say of themselves: place it by node.id, or"
        " by a label that a manager gives: `argosy node update --label-add secure=yes NODE`"
    )
