"""Devices by name: what CDI files say, and what a container then gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.runtime.bundle import cdi
from agent.runtime.bundle.cdi import CdiDevices
from agent.runtime.interface import RuntimeFailure
from api.engine.requests import convert_request
from api.service.host_config import DeviceRequest
from api.service.service_spec import ServiceSpec
from api.service.unsupported import service_refusals

GPUS = """
cdiVersion: "0.6.0"
kind: example.com/gpu
containerEdits:
  env: [LIB=/opt/lib]
  mounts: [{hostPath: /opt/lib, containerPath: /usr/lib/gpu, options: [ro, bind]}]
  hooks: [{hookName: createContainer, path: /bin/ldconfig, args: [ldconfig]}]
devices:
  - {name: "0", containerEdits: {deviceNodes: [{path: /dev/gpu0, hostPath: /dev/zero}], env: [GPU=0]}}
  - {name: "1", containerEdits: {deviceNodes: [{path: /dev/gpu1, hostPath: /dev/null, permissions: rw}]}}
  - {name: "10", containerEdits: {additionalGids: [44]}}
"""
CARD = '{"cdiVersion": "0.6.0", "kind": "example.com/card", "devices": [{"name": "a", "containerEdits": {}}]}'


@pytest.fixture
def offered(tmp_path: Path) -> CdiDevices:
    """A host with three GPUs, a card, and a file that is broken."""
    (tmp_path / "gpus.yaml").write_text(GPUS)
    (tmp_path / "card.json").write_text(CARD)
    (tmp_path / "bad.json").write_text("{")
    return cdi.read([tmp_path, tmp_path / "none"])


def gpus(**fields: Any) -> DeviceRequest:
    return DeviceRequest(capabilities=[["gpu"]], **fields)


def count(offered: CdiDevices, request: DeviceRequest) -> int:
    """Edits, one of them the kind's own."""
    return len(cdi.wanted([request], offered)) - 1


def test_a_device_brings_its_own_edits_and_its_kinds(offered: CdiDevices) -> None:
    edits = cdi.wanted([DeviceRequest("cdi", device_ids=["example.com/gpu=0", "example.com/gpu=10"])], offered)
    process = {"env": ["A=b", "GPU=none"], "user": {"uid": 0, "additionalGids": [0]}}
    config = cdi.applied({"process": process}, edits)

    assert config["process"]["env"] == ["A=b", "LIB=/opt/lib", "GPU=0"]
    assert config["process"]["user"]["additionalGids"] == [0, 44]
    assert config["hooks"] == {"createContainer": [{"path": "/bin/ldconfig", "args": ["ldconfig"]}]}
    assert [mount["destination"] for mount in cdi.mounts(edits)] == ["/usr/lib/gpu"]
    (node,) = cdi.nodes(edits)
    assert (node.path, node.kind, node.major, node.minor, node.access) == ("/dev/gpu0", "c", 1, 5, "rwm")


def test_gpus_are_asked_for_by_number_by_id_or_all(offered: CdiDevices) -> None:
    assert count(offered, gpus(count=-1)) == 3
    assert count(offered, gpus(count=2)) == 2
    assert count(offered, gpus(device_ids=["10"])) == 1


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (
            DeviceRequest("cdi", device_ids=["example.com/gpu=7"]),
            "offers no device example.com/gpu=7; devices are what CDI files",
        ),
        (gpus(count=4), "4 GPUs are asked for, and this host offers 3"),
    ],
)
def test_what_the_host_does_not_offer_is_named(offered: CdiDevices, request_: DeviceRequest, sentence: str) -> None:
    with pytest.raises(RuntimeFailure, match=sentence):
        cdi.wanted([request_], offered)


def test_a_host_without_any_says_so_and_which_files_it_could_not_read(offered: CdiDevices) -> None:
    with pytest.raises(RuntimeFailure, match="offers no GPU"):
        cdi.wanted([gpus(count=1)], CdiDevices())
    assert [Path(path).name for path in offered.broken] == ["bad.json"]


def test_other_drivers_are_refused_by_name() -> None:
    host = {"DeviceRequests": [{"Driver": "tpu", "Count": 1}]}
    template = {"ContainerSpec": {"Image": "demo:1", "HostConfig": host}}
    spec = convert_request(ServiceSpec, {"Name": "web", "TaskTemplate": template}, strict=True)

    (refusal,) = service_refusals(spec)
    assert refusal.endswith("DeviceRequests[0]: only the driver cdi, and GPUs, can be asked for")
