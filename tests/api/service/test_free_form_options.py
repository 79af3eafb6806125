"""Free-form maps of a spec are held against what their keys mean."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from api.service.container import ContainerSpec, DNSConfig, Driver, Mount, Ulimit, VolumeOptions
from api.service.free_form_options import log_option_problems, sysctl_problems, volume_option_problems
from api.service.host_config import HostConfig
from api.service.service_spec import NetworkTarget, ServiceSpec, TaskSpec
from api.service.service_validation import service_problems
from api.service.unsupported import service_refusals
from kit.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0), ("4096", 4096), ("10b", 10), ("1k", 1024), ("1.5m", 1572864), ("10 MB", 10 << 20),
        ("10MiB", 10 << 20), (".5g", 1 << 29), ("2G", 2 << 30), ("1t", 1 << 40), ("1 pib", 1 << 50),
    ],
)  # fmt: skip
def test_sizes_as_docker_spells_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "m", "10x", "-1", "1,5m", "10  mb", "1e3", "9" * 30, "9999999p", "٣"])
def test_bad_sizes_are_refused_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a size|more than can be counted"):
        parse_size(text)


@dataclass
class Row:
    driver: str
    options: dict[str, str]
    problems: list[str]


@pytest.mark.parametrize(
    "row",
    [
        Row("json-file", {"max-size": "1.5m", "max-file": "3", "compress": "true", "labels": "a", "tag": "x"}, []),
        Row("", {"max-size": "10 MB"}, []),
        Row("local", {"mode": "non-blocking", "max-buffer-size": "4m"}, []),
        Row("none", {"whatever": "1"}, []),
        Row("json-file", {"max-size": "huge"}, ["O.max-size: 'huge' is not a size such as 10m or 1.5GB"]),
        Row("json-file", {"max-size": "0"}, ["O.max-size: '0' must be more than 0"]),
        Row("json-file", {"max-file": "0"}, ["O.max-file: '0' is not a whole number of at least 1"]),
        Row("json-file", {"max-file": "x"}, ["O.max-file: 'x' is not a whole number of at least 1"]),
        Row("json-file", {"compress": "maybe"}, ["O.compress: 'maybe' is neither true nor false"]),
        Row("json-file", {"mode": "fast"}, ["O.mode: 'fast' is none of blocking, non-blocking"]),
        Row("json-file", {"env-regex": "("}, ["O.env-regex: '(' is not a regular expression"]),
        Row(
            "local",
            {"max-sise": "1m"},
            [
                "O.max-sise: log driver local has no such option; it has compress, max-buffer-size, max-file, max-size,"
                " mode"
            ],
        ),
    ],
    ids=lambda row: f"{row.driver}-{row.options}",
)
def test_log_options(row: Row) -> None:
    assert list(log_option_problems("O", row.driver, row.options)) == row.problems


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        ({}, []),
        ({"type": "nfs", "device": ":/x", "o": "addr=10.0.0.1"}, []),
        ({"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}, []),
        ({"typ": "nfs"}, ["O.typ: a local volume has no such option; it has device, o, size, type"]),
        ({"type": "nfs"}, ["O.device: is needed beside type"]),
        ({"o": "bind"}, ["O.type: is needed beside o"]),
        ({"size": "big"}, ["O.size: 'big' is not a size such as 10m or 1.5GB"]),
        ({"type": "none", "device": "/a\nb"}, ["O: an option holds a line break or a NUL"]),
    ],
)
def test_volume_options(options: dict[str, str], problems: list[str]) -> None:
    assert list(volume_option_problems("O", options)) == problems


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("net.core.somaxconn", ""), ("net/ipv4/ip_forward", ""), ("net.ipv4.conf.eth0.forwarding", ""),
        ("kernel.shmmax", ""), ("fs.mqueue.msg_max", ""), ("kernel.domainname", ""),
        ("kernel.core_pattern", "is one for the whole host, not for a container; set it on the host"),
        ("vm.swappiness", "is one for the whole host, not for a container; set it on the host"),
        ("fs.file-max", "is one for the whole host, not for a container; set it on the host"),
        ("net.ipv4/../../kernel/core_pattern", "'net.ipv4/../../kernel/core_pattern' is no name of a kernel setting"),
        ("", "'' is no name of a kernel setting"),
        ("kernel", "'kernel' is no name of a kernel setting"),
    ],
)  # fmt: skip
def test_sysctls_are_the_containers_own(key: str, problem: str) -> None:
    found = list(sysctl_problems("S", {key: "1"}, host_network=False, host_ipc=False))

    assert found == ([f"S.{key}: {problem}"] if problem else [])


def test_sysctls_of_what_is_shared_with_the_host() -> None:
    assert list(sysctl_problems("S", {"net.core.somaxconn": "1"}, host_network=True, host_ipc=False))
    assert list(sysctl_problems("S", {"kernel.sem": "1"}, host_network=False, host_ipc=True))


C = "TaskTemplate.ContainerSpec"


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (ContainerSpec(sysctls={"kernel.panic": "1"}), f"{C}.Sysctls.kernel.panic"),
        (ContainerSpec(ulimits=[Ulimit("files", 1, 1)]), f"{C}.Ulimits"),
        (ContainerSpec(dns_config=DNSConfig(options=["ndots:1\nnameserver 1.1.1.1"])), f"{C}.DNSConfig.Options[0]"),
        (ContainerSpec(dns_config=DNSConfig(search=["a\nb"])), f"{C}.DNSConfig.Search[0]"),
        (ContainerSpec(hosts=["10.0.0.1 a\n10.0.0.2 b"]), f"{C}.Hosts[0]"),
        (ContainerSpec(hostname="a\nb"), f"{C}.Hostname"),
        (
            ContainerSpec(host_config=HostConfig(annotations={"run.oci.hooks": "x"})),
            f"{C}.HostConfig.Annotations.run.oci",
        ),
        (
            ContainerSpec(
                mounts=[Mount("volume", "v", "/v", volume_options=VolumeOptions(driver_config=Driver("", {"a": "b"})))]
            ),
            f"{C}.Mounts[0].VolumeOptions.DriverConfig.Options.a",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_free_form_part_of_a_service_is_checked_when_it_is_admitted(spec: ContainerSpec, path: str) -> None:
    spec = ContainerSpec(**{name: getattr(spec, name) for name in spec.__struct_fields__} | {"image": "x"})
    found = service_problems(ServiceSpec(name="web", task_template=TaskSpec(container_spec=spec)))

    assert [problem for problem in found if problem.startswith(path)] != []


def test_log_options_and_the_hosts_network_are_checked_too() -> None:
    container = ContainerSpec(image="x", sysctls={"net.core.somaxconn": "1"})
    task = TaskSpec(
        container_spec=container, log_driver=Driver("json-file", {"x": "y"}), networks=[NetworkTarget("host")]
    )
    found = service_problems(ServiceSpec(name="web", task_template=task))

    assert [problem.split(":")[0] for problem in found] == [
        "TaskTemplate.LogDriver.Options.x", f"{C}.Sysctls.net.core.somaxconn"
    ]  # fmt: skip


def test_a_quota_is_refused_by_name() -> None:
    driver = Driver("local", {"size": "1g"})
    mount = Mount("volume", "v", "/v", volume_options=VolumeOptions(driver_config=driver))
    spec = ServiceSpec(name="web", task_template=TaskSpec(container_spec=ContainerSpec(image="x", mounts=[mount])))

    assert service_refusals(spec) == [
        f"{C}.Mounts[0].VolumeOptions.DriverConfig.Options.size: volumes have no quota here"
    ]
