"""What a task asks of its network, turned into the sandbox and the container's /etc/hosts."""

from __future__ import annotations

import msgspec

from agent.lifecycle import container_plan
from agent.runtime.interface import Image
from api.service.container import ContainerSpec
from api.service.ports import PortConfig
from api.service.service_spec import NetworkTarget, TaskSpec
from api.wire.assignments import Attachment, SpecAssignment
from overlay.interface import Interface
from tests.agent.builders import IMAGE, a_spec, a_task


def test_a_task_on_no_network_is_isolated_and_one_without_any_named_is_not() -> None:
    alone = SpecAssignment("s1.1", TaskSpec(ContainerSpec(image=IMAGE), networks=[NetworkTarget("none")]))
    order = msgspec.structs.replace(a_task(), attachments=[])

    assert container_plan.sandbox_of(order, alone).isolated
    assert not container_plan.sandbox_of(order, a_spec()).isolated
    assert not container_plan.uses_host_network(alone)


def test_a_mac_address_of_its_own_goes_to_the_interface() -> None:
    order = msgspec.structs.replace(a_task(), attachments=[Attachment("net", "10.0.1.7/24", [], "02:42:ac:11:00:02")])

    assert container_plan.sandbox_of(order, a_spec()).interfaces == (
        Interface("net", "10.0.1.7/24", (), "02:42:ac:11:00:02"),
    )


def test_host_gateway_is_the_hosts_address() -> None:
    spec = a_spec(hosts=["host-gateway host.docker.internal me", "10.0.0.1 db"])
    image = Image("sha256:1", (IMAGE,), ())

    plan = container_plan.container_of(a_task(), spec, "n1", image, "/n", {}, (), "192.0.2.1")

    assert plan.hosts == ("192.0.2.1 host.docker.internal me", "10.0.0.1 db")


def test_a_ports_address_is_in_the_tasks_status() -> None:
    (status,) = container_plan.ports_of([PortConfig("", "tcp", 80, 8080, "host", "127.0.0.1")])

    assert (status.published_port, status.host_ip) == (8080, "127.0.0.1")
