"""What reaches for the host, its networks and its files: sound specs pass, each wrong one gets its sentence."""

from __future__ import annotations

from typing import Any

import pytest

from api.engine.requests import convert_request
from api.service.service_spec import ServiceSpec
from api.service.service_validation import service_problems
from api.service.unsupported import service_refusals

HOST = "TaskTemplate.ContainerSpec.HostConfig"
MEMORY = {"Limits": {"MemoryBytes": 8 << 20}}


def service(container: Any = None, host: Any = None, task: Any = None, **fields: Any) -> ServiceSpec:
    """A service from plain values."""
    part = {"Image": "demo:1", **(container or {}), "HostConfig": host or {}}
    return convert_request(
        ServiceSpec, {"Name": "web", "TaskTemplate": {"ContainerSpec": part, **(task or {})}, **fields}, strict=True
    )


def on(*networks: Any, **fields: Any) -> ServiceSpec:
    """A service on networks."""
    return service(task={"Networks": list(networks)}, **fields)


def ports(*given: Any) -> Any:
    """An EndpointSpec."""
    return {"Ports": [{"TargetPort": 80, **port} for port in given]}


SOUND = [
    service(host={"Privileged": True, "PidMode": "host", "IpcMode": "shareable", "UTSMode": "host"}),
    service(host={"Devices": [{"PathOnHost": "/dev/fuse"}], "DeviceCgroupRules": ["c *:* rwm"]}),
    service(host={"MemorySwap": -1, "MemorySwappiness": 0, "CpusetCpus": "0-3,5"}, task={"Resources": MEMORY}),
    service({"PostStart": [{"Command": ["true"], "Environment": ["A=b"]}], "Hosts": ["host-gateway me"]}),
    service({"Secrets": [{"SecretName": "s", "File": {"Name": "/etc/s", "UID": "1000", "Mode": 0}}]}),
    on({"Target": "net", "MacAddress": "02:42:ac:11:00:02", "IPv4Address": "10.0.1.7"}),
    on({"Target": "host"}),
    on({"Target": "none"}),
    service(EndpointSpec=ports(
        {"PublishedPort": 80, "HostIP": "127.0.0.1"}, {"PublishedPort": 80, "HostIP": "10.0.0.1"},
    )),
]  # fmt: skip


@pytest.mark.parametrize("spec", SOUND)
def test_sound_services_have_no_problems(spec: ServiceSpec) -> None:
    assert service_problems(spec) == service_refusals(spec) == []


CONTAINER = "TaskTemplate.ContainerSpec"
NET = "TaskTemplate.Networks[0]"
FIXED = {"Target": "net", "IPv4Address": "10.0.1.7"}


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (service(host={"IpcMode": "container:x"}),
         f"{HOST}.IpcMode: 'container:x' is not possible; private, shareable, host, none is"),
        (service(host={"PidMode": "service:db"}), f"{HOST}.PidMode: 'service:db' is not possible; host is"),
        (service(host={"UsernsMode": "keep-id"}), f"{HOST}.UsernsMode: 'keep-id' is not possible; host is"),
        (service({"Hostname": "x"}, {"UTSMode": "host"}),
         f"{CONTAINER}.Hostname: cannot be set in the host's UTS namespace"),
        (service(host={"Devices": [{"PathOnHost": "fuse"}]}),
         f"{HOST}.Devices[0].PathOnHost: 'fuse' must be an absolute path"),
        (service(host={"Devices": [{"PathOnHost": "/dev/a", "CgroupPermissions": "x"}]}),
         f"{HOST}.Devices[0].CgroupPermissions: 'x' is not made of r, w and m"),
        (service(host={"DeviceCgroupRules": ["c 1 r"]}),
         f"{HOST}.DeviceCgroupRules[0]: 'c 1 r' is not of the form 'c 1:3 mr'"),
        (service(host={"CpusetCpus": "0-"}), f"{HOST}.CpusetCpus: '0-' is not a list of numbers like 0-3,5"),
        (service(host={"CgroupParent": "/a/../b"}),
         f"{HOST}.CgroupParent: '/a/../b' must not lead out of the cgroup it is in"),
        (service(host={"CpuQuota": 5000}, task={"Resources": {"Limits": {"NanoCPUs": 500_000_000}}}),
         f"{HOST}.CpuQuota: conflicting options: NanoCPUs and CpuQuota or CpuPeriod cannot both be set"),
        (service(host={"MemorySwap": 1}),
         f"{HOST}.MemorySwap: you should always set the memory limit when using the memory and swap limit"),
        (service(host={"MemorySwap": 1}, task={"Resources": MEMORY}),
         f"{HOST}.MemorySwap: minimum memory and swap limit should be larger than the memory limit"),
        (service(host={"MemorySwappiness": 101}), f"{HOST}.MemorySwappiness: 101 is not from 0 to 100"),
        (service(host={"ShmSize": 1, "IpcMode": "none"}), f"{HOST}.ShmSize: cannot be set with IpcMode none"),
        (service(host={"BlkioWeight": 5}), f"{HOST}.BlkioWeight: 5 is not from 10 to 1000"),
        (service(host={"BlkioDeviceReadBps": [{"Path": "sda", "Rate": 1}]}),
         f"{HOST}.Blkio: 'sda' must be the absolute path of a block device"),
        (service({"PreStop": [{}]}), f"{CONTAINER}.PreStop[0].Command: a hook needs a command"),
        (service({"Platform": "windows"}),
         f"{CONTAINER}.Platform: 'windows' is not of the form linux/ARCHITECTURE[/VARIANT]"),
        (service({"Secrets": [{"SecretName": "s", "File": {"Name": "../s"}}]}),
         f"{CONTAINER}.Secrets[0].File.Name: '../s' is not the path of a file in the container"),
        (service({"Configs": [{"ConfigName": "s", "File": {"Name": "s", "UID": "web"}}]}),
         f"{CONTAINER}.Configs[0].File.UID: 'web' is not a numeric id"),
        (on({"Target": "host"}, {"Target": "net"}),
         "TaskTemplate.Networks: host cannot be combined with other networks"),
        (on({"Target": "none"}, EndpointSpec=ports({})),
         "EndpointSpec.Ports: a service on network none cannot publish ports: it has no network"),
        (on(FIXED, Mode={"Replicated": {"Replicas": 2}}),
         f"{NET}.IPv4Address: only a service of one replica can have an address of its own"),
        (on(FIXED, Mode={"Global": {}}),
         f"{NET}.IPv4Address: only a service of one replica can have an address of its own"),
        (on(FIXED, UpdateConfig={"Order": "start-first"}),
         f"{NET}.IPv4Address: two tasks would have it at once with UpdateConfig.Order start-first; use stop-first"),
        (on({"Target": "net", "MacAddress": "01:00:5e:00:00:01"}),
         f"{NET}.MacAddress: '01:00:5e:00:00:01' is not the MAC address of an interface (02:42:ac:11:00:02)"),
        (service(EndpointSpec=ports({"HostIP": "::1"})),
         "EndpointSpec.Ports[0].HostIP: '::1' is not an IPv4 address"),
        (service(EndpointSpec=ports({"PublishedPort": 80, "HostIP": "127.0.0.1"}, {"PublishedPort": 80})),
         "EndpointSpec.Ports[1]: duplicate published ports provided: 80/tcp"),
    ],
)  # fmt: skip
def test_each_wrong_part_is_named(spec: ServiceSpec, problem: str) -> None:
    assert service_problems(spec) == [problem]


def test_storage_options_are_refused_by_name() -> None:
    (refusal,) = service_refusals(service(host={"StorageOpt": {"size": "1G"}}))
    assert refusal.startswith(f"{HOST}.StorageOpt: root filesystems have no quota here")
