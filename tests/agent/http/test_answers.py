"""What the host's part of the API answers, word for word: which fields, in which order, and what is null, [] or ""."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.http import host_network_answers, system_info, volume_handlers
from agent.http.containers import container_answers, container_execs, container_stats
from agent.http.images import image_answers
from agent.lifecycle.health import Health, HealthState, Probe
from agent.runtime.containers.cgroup_usage import Transfer, Usage
from agent.runtime.containers.container_record import Ended, Record, VolumeUse
from agent.runtime.execs.execs import Exec, ExecConfig
from agent.runtime.images.image_config import ImageConfig, ImageHistoryEntry
from agent.runtime.interface import Container, Exit, Image
from agent.runtime.oci.container_defaults import ContainerDefaults
from agent.runtime.volumes.local_volumes import Volume
from api.codec import encode
from api.engine.container_stats import StatsAnswer
from api.engine.containers import EndpointSettings
from api.engine.volumes import VolumeUsage
from api.http.event_stream import event
from api.service.container import BindOptions, ContainerSpec, Driver, Healthcheck, Mount, Ulimit
from api.service.host_config import Hook
from api.service.ports import PortConfig
from api.service.resources import Limits, Resources
from api.service.service_spec import TaskSpec
from api.wire.assignments import NetworkAssignment

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("answers.json").read_text())
ROOT = "/var/lib/argosy"
CRUN, RUNC = (container_answers.Engine(ROOT, name, ContainerDefaults()) for name in ("crun", "runc"))

BUSY = Container(
    "c" * 64, "web.1.t1", "t1", "docker.io/library/demo:1", f"sha256:{'d' * 64}", 1700000000.25, 1700000001.5, 4711,
    None, {"b": "2", "a": "1"}, ("sh", "-c", "echo hi"),
)  # fmt: skip
DONE = Container(
    "e" * 64, "done", "", f"shop.example/web@sha256:{'f' * 64}", f"sha256:{'f' * 64}", 1700000000, 1700000001, 0,
    Exit(137, True, 1700000100.5), {}, (),
)  # fmt: skip
SPEC = TaskSpec(
    container_spec=ContainerSpec(
        image="demo:1",
        command=["sh"],
        args=["-c"],
        tty=True,
        open_stdin=True,
        hosts=["10.0.0.1 db"],
        mounts=[
            Mount("volume", "data", "/v"),
            Mount("bind", "/srv", "/srv", True, bind_options=BindOptions(propagation="rshared")),
        ],
        healthcheck=Healthcheck(["CMD", "true"], interval=10**9, retries=3),
        stop_signal="SIGQUIT",
        init=True,
        groups=["7"],
        sysctls={"b": "1", "a": "2"},
        capability_add=["NET_ADMIN"],
        ulimits=[Ulimit("nofile", 1, 2)],
        oom_score_adj=5,
        read_only=True,
    ),
    resources=Resources(limits=Limits(2 * 10**9, 1 << 20, 99)),
    log_driver=Driver("local", {"max-size": "1m"}),
)
RICH = Record(
    BUSY.id, BUSY.name, "t1", BUSY.image, BUSY.image_id, "host", "/run/netns/x", SPEC, command=["sh"], env=["A=1"],
    user="1:2", directory="/w", mounts=[*SPEC.container_spec.mounts, Mount("tmpfs", "", "/t")],
    volumes=[VolumeUse("data", "/v")], labels=BUSY.labels,
)  # fmt: skip
POOR = Record(
    DONE.id, DONE.name, "", DONE.image, DONE.image_id, "", "", TaskSpec(), ended=Ended(137, True, 1700000100.5)
)
PORTS = (
    PortConfig(target_port=80, published_port=8080, publish_mode="host"),
    PortConfig(protocol="udp", target_port=53, published_port=5353, host_ip="10.0.0.9"),
)
NETWORKS = {"front": EndpointSettings(network_id="n1", ip_address="10.0.1.7", ip_prefix_len=24)}
SICK = Health(HealthState.UNHEALTHY, 3, (Probe(1700000002, 1700000003.5, 1, "no"),))
IMAGE = Image(
    f"sha256:{'d' * 64}", ("docker.io/library/demo:1", "shop.example/web:2"),
    (f"docker.io/library/demo@sha256:{'a' * 64}",), 1234, 1700000000.7, "amd64", "linux", ("e",), ("c",), ("A=1",), "u",
    "/d", "SIGTERM", Healthcheck(["NONE"]), {"l": "1"}, ("/v",), ("80/tcp",), ("sha256:1",),
)  # fmt: skip
BARE = Image(f"sha256:{'b' * 64}", (), ())
STEPS = ImageConfig(history=[ImageHistoryEntry("x", "layer 0", "c"), ImageHistoryEntry("y", "ENV", "", True)])
USED = Usage(
    1, 2, 3, (4, 5, 6), 7, 8, {"cache": 1, "anon": 2}, [(8, 0, "read", 9)], 3, 4,
    {"eth0": Transfer(1, 2, 3, 4, 5, 6, 7, 8)},
)  # fmt: skip
STAT = "cpu  10 0 5 100 0 0 0 0 0 0\ncpu0 10 0 5 100 0 0 0 0 0 0\n"
ORDERS = [
    NetworkAssignment("n2", "z", 4097, "10.0.2.0/24", "10.0.2.0/25", "10.0.2.1/24", True, 1400, True),
    NetworkAssignment("n1", "a", 4096, "10.0.1.0/24", "", "10.0.1.1/24"),
]
HOST: Any = SimpleNamespace(
    volumes=SimpleNamespace(data=lambda name: Path(ROOT) / "volumes" / name / "_data"), clock=lambda: 1700000000.0
)
DATA = Volume("data", {"a": "b"}, {"type": "nfs"}, 1700000000.0)


def an_exec() -> Exec:
    """One that runs."""
    hook = Hook(command=["sh", "-c", "x"], user="1")
    exec = Exec("c" * 64, ExecConfig(hook, tty=True, stdin=True, stderr=False, rows=1, columns=2, detach_keys="ctrl-p"))
    exec.id, exec.started, exec.pid = "i" * 64, True, 5
    return exec


ANSWERS: dict[str, Any] = {
    "containers": [
        container_answers.summary(BUSY, RICH, NETWORKS, PORTS, 1700003601.5, "healthy"),
        container_answers.summary(DONE, POOR, {}, (), 1700086500.5),
    ],
    "container that runs": container_answers.inspection(BUSY, RICH, NETWORKS, PORTS, CRUN, SICK, ["x1"]),
    "container that has ended": container_answers.inspection(DONE, POOR, {}, (), RUNC),
    "images": [image_answers.summary(IMAGE, 2), image_answers.summary(BARE, 0)],
    "image": image_answers.inspection(IMAGE, ImageConfig("amd64", "v2", "linux", "2023-11-14T22:13:20Z", "me")),
    "image with nothing": image_answers.inspection(BARE, ImageConfig()),
    "image history": image_answers.history(IMAGE, STEPS, [10], [1700000000.5, 0.0]),
    "image removed": image_answers.removed(["demo:1"], "sha256:1"),
    "volume": volume_handlers.volume_answer(DATA, HOST),
    "volume without a name": volume_handlers.volume_answer(Volume("x", anonymous=True), HOST),
    "volume with its size": volume_handlers.volume_answer(DATA, HOST, VolumeUsage(size=5, ref_count=1)),
    "networks": host_network_answers.network_answers(ORDERS),
    "stats": container_stats.shown(StatsAnswer("c", "/c"), USED, STAT),
    "stats of one that has ended": container_stats.reading(DONE, HOST),
    "top": container_stats.table("UID PID CMD\nroot 7 sleep 60\nroot 8 x\n", {7}),
    "exec": container_execs.exec_answer(an_exec()),
    "events": [
        event(1700000000.5, "container", "start", "c1", {"image": "demo", "a": "1"}, "local"),
        event(1700000000.5, "image", "pull", "i1", {"name": "demo"}, "local"),
        event(1700000000.5, "service", "update", "s1", {"name": "web"}, "swarm"),
    ],
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_are_word_for_word(name: str) -> None:
    golden = json.dumps(GOLDEN[name], separators=(",", ":"), ensure_ascii=False)

    assert encode(ANSWERS[name]).decode() == golden


def test_every_field_of_version_is_there() -> None:
    """Their values are this machine's."""
    found = json.loads(encode(system_info.version_info()))

    assert list(found) == GOLDEN["fields of version"]
    assert list(found["Components"][0]["Details"]) == GOLDEN["fields of its engine"]
