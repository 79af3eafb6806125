"""Secrets and configs, and what services ask of their hosts, from the command line to the container."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import World

WORD = "open sesame, says the test"
SHOW = (
    "import hashlib, os, time; p = '/run/secrets/pass'; s = os.stat(p);"
    " print(hashlib.sha256(open(p, 'rb').read()).hexdigest(), oct(s.st_mode)[-3:], s.st_uid,"
    " open('/etc/app.conf').read(), flush=True); time.sleep(3600)"
)
EXPECTED = f"{hashlib.sha256(WORD.encode()).hexdigest()} 400 7 port=80"


def create(world: World, spec: dict[str, Any]) -> None:
    """POST /services/create, for what no command line of Docker's can say."""
    connection = http.client.HTTPConnection("localhost", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(world.socket())
    connection.request("POST", "/services/create", json.dumps(spec), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.status == 201, text


def said(world: World, service: str) -> list[str]:
    """The lines a service has written."""
    return world.docker("service", "logs", "--raw", service).splitlines()


@pytest.fixture
def stored(world: World, tmp_path: Path) -> Iterator[Path]:
    """A secret `word` and a config `conf`, and the files they were made from."""
    (tmp_path / "word").write_text(WORD)
    (tmp_path / "conf").write_text("port=80")
    world.argosy("secret", "create", "word", str(tmp_path / "word"))
    world.docker("config", "create", "conf", str(tmp_path / "conf"))
    yield tmp_path
    for service in world.api("/services"):
        world.docker("service", "rm", service["ID"])
    world.argosy("secret", "rm", "word")
    world.argosy("config", "rm", "conf")


def test_every_task_has_its_secret_and_config_and_no_disk_has_the_secret(world: World, stored: Path) -> None:
    world.docker(
        "service", "create", "--name", "reader", "--mode", "global", "--stop-signal", "SIGKILL",
        "--secret", "source=word,target=pass,uid=7,mode=0400", "--config", "source=conf,target=/etc/app.conf",
        "argosy-peer:1", "python3", "-c", SHOW,
    )  # fmt: skip

    assert world.until(lambda: said(world, "reader") == [EXPECTED] * 3)
    for host in world.hosts:
        world.inside(host, f"! grep -rqs '{WORD}' /var/lib/argosy /run/argosy --exclude-dir=files")
    refused = world.docker("secret", "rm", "word", code=1)
    assert "secret 'word' is in use by the following service: reader" in refused


def test_what_a_service_asks_of_its_host_it_gets(world: World) -> None:
    script = (
        "import os, time\nwhile not os.path.exists('/hook'): time.sleep(0.1)\nshm = os.statvfs('/dev/shm')\n"
        "print(os.getpid() > 1 and os.path.exists('/dev/nought'), shm.f_blocks * shm.f_frsize, open('/hook').read(),"
        " 'mine' in open('/etc/hosts').read(), flush=True)\ntime.sleep(3600)"
    )
    hook = "import os; open('/hook', 'w').write(os.environ['WORD'])"
    create(world, {
        "Name": "asker",
        "TaskTemplate": {"ContainerSpec": {
            "Image": "argosy-peer:1",
            "Command": ["python3", "-c", script],
            "Hosts": ["host-gateway mine"],
            "PostStart": [{"Command": ["python3", "-c", hook], "Environment": ["WORD=warm"]}],
            "HostConfig": {
                "PidMode": "host", "ShmSize": 4 << 20,
                "Devices": [{"PathOnHost": "/dev/zero", "PathInContainer": "/dev/nought"}],
            },
        }},
    })  # fmt: skip

    world.until_running("asker", 1)
    assert world.until(lambda: said(world, "asker") == [f"True {4 << 20} warm True"])
    world.argosy("service", "rm", "asker")


def test_a_port_at_127_0_0_1_answers_its_host_alone(world: World) -> None:
    create(world, {
        "Name": "shy",
        "TaskTemplate": {"ContainerSpec": {"Image": "argosy-peer:1", "Command": ["python3", "peer.py"]}},
        "EndpointSpec": {"Ports": [{"TargetPort": 8000, "PublishedPort": 8099, "HostIP": "127.0.0.1"}]},
    })  # fmt: skip
    world.until_running("shy", 1)

    for host in world.hosts:
        ask = "curl -s --max-time 5 http://127.0.0.1:8099/"
        assert world.until(lambda: "client" in world.inside(host, ask))  # noqa: B023
        with pytest.raises(OSError):
            world.ask(host, 8099)
    world.argosy("service", "rm", "shy")


def test_one_replica_keeps_its_own_address_over_an_update(world: World) -> None:
    world.argosy("network", "create", "--subnet", "10.99.7.0/24", "fixed")
    create(world, {
        "Name": "known",
        "TaskTemplate": {
            "ContainerSpec": {"Image": "argosy-peer:1", "Command": ["python3", "peer.py"]},
            "Networks": [{"Target": "fixed", "IPv4Address": "10.99.7.77", "MacAddress": "02:42:ac:11:00:77"}],
        },
        "UpdateConfig": {"Monitor": 500_000_000},
    })  # fmt: skip
    first = world.until_running("known", 1)[0]
    assert first["NetworksAttachments"][0]["Addresses"] == ["10.99.7.77/24"]

    world.argosy("service", "update", "--env-add", "A=b", "known")

    second = world.until(lambda: [t for t in world.tasks("known") if t["ID"] != first["ID"]])[0]
    assert second["NetworksAttachments"][0]["Addresses"] == ["10.99.7.77/24"]
    world.argosy("service", "rm", "known")
    world.until(lambda: not world.api("/tasks", service="known") if world.api("/services", name="known") else True)
    world.until(lambda: bool(world.argosy("network", "rm", "fixed")))
