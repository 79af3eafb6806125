"""Specs with one thing wrong each get one sentence; sound ones none. More: tests/manager/http/test_bad_input.py."""

from __future__ import annotations

from typing import Any

import pytest

from api.engine.requests import convert_request
from api.network.network_spec import NetworkSpec
from api.network.network_validation import network_problems, network_refusals
from api.node_spec import NodeSpec, node_problems
from api.service.service_spec import ServiceSpec
from api.service.service_validation import service_problems
from api.service.unsupported import service_refusals


def service(container: dict[str, Any] | None = None, **fields: Any) -> ServiceSpec:
    """A service from plain values."""
    template = {"ContainerSpec": {"Image": "demo:1", **(container or {})}, **fields.pop("TaskTemplate", {})}
    return convert_request(ServiceSpec, {"Name": "web", "TaskTemplate": template, **fields}, strict=True)


def network(**fields: Any) -> NetworkSpec:
    """A network from plain values."""
    return convert_request(NetworkSpec, {"Name": "net", **fields}, strict=True)


def subnet(**fields: Any) -> NetworkSpec:
    """A network with an address range."""
    return network(IPAM={"Config": [fields]})


SOUND = [
    service(),
    service(Mode={"ReplicatedJob": {"TotalCompletions": 5}}),
    service({"Mounts": [{"Type": "volume", "Target": "/a"}, {"Type": "tmpfs", "Target": "/a/b"}]}),
    service({"Healthcheck": {"Test": ["NONE"]}, "Hosts": ["10.0.0.1 db db.local"], "Env": ["A", "B="]}),
    service({"Ulimits": [{"Name": "core", "Soft": -1, "Hard": -1}]}),
    service(EndpointSpec={"Ports": [{"TargetPort": 80}, {"TargetPort": 80}]}),
    service(
        EndpointSpec={
            "Ports": [{"TargetPort": 1, "PublishedPort": 9}, {"TargetPort": 1, "PublishedPort": 9, "Protocol": "udp"}]
        }
    ),
]


@pytest.mark.parametrize("spec", SOUND)
def test_sound_services_have_no_problems(spec: ServiceSpec) -> None:
    assert service_problems(spec) == []
    assert service_refusals(spec) == []


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (service(Labels={" ": "x"}), "Labels: a label has no name"),
        (service({"StopGracePeriod": -1}), "TaskTemplate.ContainerSpec.StopGracePeriod: must not be negative"),
        (
            service(TaskTemplate={"Resources": {
                "Limits": {"MemoryBytes": 8 << 20}, "Reservations": {"MemoryBytes": 9 << 20},
            }}),
            "TaskTemplate.Resources.Limits.MemoryBytes: less than what is reserved (9437184)",
        ),
        (service(RollbackConfig={"FailureAction": "rollback"}),
         "RollbackConfig.FailureAction: a rollback cannot be rolled back; pause or continue"),
        (service({"DNSConfig": {"Nameservers": ["dns"]}}),
         "TaskTemplate.ContainerSpec.DNSConfig.Nameservers[0]: 'dns' is not an IP address"),
        (service({"Mounts": [{"Type": "tmpfs", "Target": "/"}]}),
         "TaskTemplate.ContainerSpec.Mounts[0].Target: invalid mount target, must not be /"),
        (service({"Mounts": [{"Type": "bind", "Source": "/x", "Target": "/a", "BindOptions": {"Propagation": "dev"}}]}),
         "TaskTemplate.ContainerSpec.Mounts[0].BindOptions.Propagation: 'dev' is not one of rprivate, private,"
         " rshared, shared, rslave, slave"),
        (service({"Mounts": [{"Type": "volume", "Source": "../x", "Target": "/a"}]}),
         "TaskTemplate.ContainerSpec.Mounts[0].Source: '../x' is not a volume name; for a host path use type bind"),
        (service(TaskTemplate={"Placement": {"MaxReplicas": -1}}),
         "TaskTemplate.Placement.MaxReplicas: must not be negative; 0 is no limit"),
        (service(TaskTemplate={"Networks": [{}]}), "TaskTemplate.Networks[0].Target: no network is named"),
    ],
)  # fmt: skip
def test_each_problem_is_one_sentence_with_its_path(spec: ServiceSpec, problem: str) -> None:
    assert service_problems(spec) == [problem]


def test_all_problems_are_told_at_once() -> None:
    spec = service({"OomScoreAdj": 5000, "Env": [""]}, Mode={"Replicated": {"Replicas": -2}})
    assert len(service_problems(spec)) == 3


@pytest.mark.parametrize(
    ("spec", "problems"),
    [
        (network(), []),
        (subnet(Subnet="10.1.0.0/16", IPRange="10.1.4.0/24", Gateway="10.1.0.1"), []),
        (subnet(Gateway="10.1.0.1"), ["IPAM.Config[0].Subnet: needed beside IPRange or Gateway"]),
        (subnet(Subnet="10.1.0.0/16", Gateway="10.2.0.1"),
         ["IPAM.Config[0].Gateway: '10.2.0.1' is not an address in 10.1.0.0/16"]),
        (subnet(Subnet="10.1.0.0/16", IPRange="10.2.0.0/24"),
         ["IPAM.Config[0].IPRange: '10.2.0.0/24' is not a range in 10.1.0.0/16"]),
        (subnet(Subnet="10.1.0.0/16", AuxiliaryAddresses={"r": "x"}),
         ["IPAM.Config[0].AuxiliaryAddresses.r: 'x' is not an address in 10.1.0.0/16"]),
    ],
)  # fmt: skip
def test_networks_and_their_ranges(spec: NetworkSpec, problems: list[str]) -> None:
    assert network_problems(spec) == problems


def test_what_networks_cannot_do_is_refused_by_name() -> None:
    spec = network(Scope="local", IPAM={"Driver": "fancy", "Config": [{}, {}]})
    assert [refusal.partition(":")[0] for refusal in network_refusals(spec)] == [
        "Scope", "IPAM.Driver", "IPAM.Config",
    ]  # fmt: skip


def test_a_node_s_labels_have_names() -> None:
    assert node_problems(NodeSpec(labels={"zone": "a"})) == []
    assert node_problems(NodeSpec(labels={"": "a"})) == ["Labels: a label has no name"]
