"""What a service's spec says of its ports and networks, wherever in it that stands."""

from __future__ import annotations

from api.network.network_spec import INGRESS
from api.service.ports import EndpointSpec, PortConfig
from api.service.service_spec import NetworkTarget, ServiceSpec, TaskSpec

MESH = PortConfig(target_port=80, published_port=8080)
HOST = PortConfig(target_port=81, published_port=8081, publish_mode="host")


def test_ports_are_on_the_mesh_or_on_the_tasks_own_host() -> None:
    spec = ServiceSpec(endpoint_spec=EndpointSpec(ports=[MESH, HOST]))

    assert (spec.ports, spec.mesh_ports, spec.host_ports) == ([MESH, HOST], [MESH], [HOST])
    assert ServiceSpec().ports == ServiceSpec().mesh_ports == ServiceSpec().host_ports == []


def test_a_service_has_an_address_unless_its_name_means_its_tasks() -> None:
    assert ServiceSpec().has_vip
    assert ServiceSpec(endpoint_spec=EndpointSpec("vip")).has_vip
    assert not ServiceSpec(endpoint_spec=EndpointSpec("dnsrr")).has_vip


def test_networks_are_those_of_the_cluster_and_ingress_for_published_ports() -> None:
    targets = [NetworkTarget("net1", ipv4_address="10.0.1.7"), NetworkTarget("net2"), NetworkTarget("net1")]
    spec = ServiceSpec(task_template=TaskSpec(networks=targets), endpoint_spec=EndpointSpec(ports=[MESH]))

    assert spec.network_ids == ["net1", "net2", INGRESS]
    assert spec.fixed_addresses == {"net1": "10.0.1.7"}
    assert ServiceSpec(networks=targets).network_targets == targets
    assert ServiceSpec(networks=targets, endpoint_spec=EndpointSpec(ports=[HOST])).network_ids == ["net1", "net2"]
    assert ServiceSpec(networks=[NetworkTarget("host")]).network_ids == []
