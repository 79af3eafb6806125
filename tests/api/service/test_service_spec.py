"""What a service's spec says of its ports and networks, wherever in it that stands."""

from __future__ import annotations

from math import inf

from api.network.network_spec import INGRESS
from api.service.container import ContainerSpec
from api.service.ports import EndpointSpec, PortConfig
from api.service.schedule import Schedule
from api.service.service_spec import NetworkTarget, RestartPolicy, ServiceSpec, TaskSpec, UpdateConfig

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


def test_times_are_seconds_and_have_their_defaults() -> None:
    assert (RestartPolicy().delay_seconds, RestartPolicy().window_seconds, RestartPolicy().after) == (5, 0, "any")
    assert RestartPolicy("none", delay=0).delay_seconds == 0
    how = UpdateConfig()
    assert (how.slots_at_once, how.delay_seconds, how.monitor_seconds, how.deadline_seconds) == (1, 0, 5, 600)
    assert (how.on_failure, how.starts_first) == ("pause", False)
    assert UpdateConfig(parallelism=0, order="start-first").slots_at_once == 0
    assert UpdateConfig(monitor=0, progress_deadline=1_500_000_000).monitor_seconds == 0
    assert (ContainerSpec().grace_seconds, ContainerSpec(stop_grace_period=0).grace_seconds) == (10, 0)
    assert (ServiceSpec().kept_revisions, ServiceSpec(revision_history=3).kept_revisions) == (10, 3)
    assert (Schedule().kept_runs, Schedule(history=2).kept_runs, Schedule().active_seconds) == (10, 2, inf)
