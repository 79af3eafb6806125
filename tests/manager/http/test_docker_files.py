"""The unmodified docker client's `secret` and `config` commands, and the stacks and services that use them."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from api.objects.kinds import SERVICE
from api.service.host_config import HostConfig
from manager.store.interface import Put
from tests.manager.http.world import World, control_plane

DOCKER = next((path for path in ("/usr/local/bin/docker", shutil.which("docker") or "") if Path(path).is_file()), "")
pytestmark = pytest.mark.skipif(not DOCKER, reason="needs the docker client")

STACK = """
services:
  web:
    image: demo:1
    secrets: [{source: word, target: pass, mode: 0400}]
    configs: [{source: conf, target: /etc/web.conf}]
    deploy: {update_config: {monitor: 100ms}}
secrets:
  word: {file: ./word}
configs:
  conf: {file: ./conf}
"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A control plane with the docker client's socket."""
    async with control_plane(tmp_path, DOCKER) as world:
        yield world


@pytest.mark.parametrize("what", ["secret", "config"])
async def test_docker_creates_lists_inspects_and_removes(world: World, what: str, tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("open sesame")

    id = await world.docker(what, "create", "--label", "a=b", "word", str(file))
    assert (await world.docker(what, "ls", "--format", "{{.ID}} {{.Name}}")) == f"{id} word"
    (seen,) = json.loads(await world.docker(what, "inspect", "word"))
    assert (seen["ID"], seen["Spec"]["Name"], seen["Spec"]["Labels"]) == (id, "word", {"a": "b"})
    again = await world.run(what, "create", "word", str(file))
    assert f"{what} word already exists" in again.stderr.decode()
    await world.start("--name", "web", f"--{what}", "source=word,target=/x,uid=1,mode=0400", "demo:1")
    refused = await world.run(what, "rm", "word")
    assert f"{what} 'word' is in use by the following service: web" in refused.stderr.decode()
    (service,) = json.loads(await world.docker("service", "inspect", "web"))
    (used,) = service["Spec"]["TaskTemplate"]["ContainerSpec"][f"{what.title()}s"]
    assert used["File"] == {"Name": "/x", "UID": "1", "GID": "0", "Mode": 0o400}
    await world.docker("service", "rm", "web")
    assert (await world.docker(what, "rm", "word")) == "word"


async def test_a_stack_brings_its_secrets_and_configs_and_a_second_deploy_changes_nothing(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "word").write_text("open sesame")
    (tmp_path / "conf").write_text("port = 80")
    file = tmp_path / "compose.yml"
    file.write_text(STACK)

    await world.docker("stack", "deploy", "-d", "-c", str(file), "shop")
    versions = {service.id: service.revision for service in world.manager.store.state.services.values()}
    await world.docker("stack", "deploy", "-d", "-c", str(file), "shop")

    assert {service.id: service.revision for service in world.manager.store.state.services.values()} == versions
    assert (await world.docker("secret", "ls", "--format", "{{.Name}}")).startswith("shop_word-")
    assert (await world.docker("secret", "ls", "--filter", "name=shop_word", "--format", "{{.Name}}")) == "shop_word"
    (service,) = json.loads(await world.docker("service", "inspect", "shop_web"))
    container = service["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert container["Secrets"][0]["File"] == {"Name": "pass", "UID": "0", "GID": "0", "Mode": 0o400}
    assert container["Configs"][0]["File"]["Name"] == "/etc/web.conf"
    await world.docker("stack", "rm", "shop")
    assert await world.docker("secret", "ls", "-q") == await world.docker("config", "ls", "-q") == ""


@pytest.mark.parametrize("what", ["word", "conf"])
async def test_other_content_is_another_version_whose_users_roll_and_back_again(
    world: World, tmp_path: Path, what: str
) -> None:
    for name in ("word", "conf"):
        (tmp_path / name).write_text("one")
    file = tmp_path / "compose.yml"
    file.write_text(STACK)

    async def deploy(content: str) -> str:
        """The object that the service refers to."""
        (tmp_path / what).write_text(content)
        await world.docker("stack", "deploy", "-d", "-c", str(file), "shop")
        (service,) = world.manager.store.state.services.values()
        container = service.spec.task_template.container_spec
        return container.secrets[0].secret_name if what == "word" else container.configs[0].config_name

    first, second, again, third = [await deploy(content) for content in ("one", "two", "one", "three")]

    assert first == again
    assert len({first, second, third}) == 3
    assert {name.rpartition("-")[0] for name in (first, second, third)} == {f"shop_{what}"}
    (service,) = world.manager.store.state.services.values()
    assert service.revision == 4


async def test_an_update_by_docker_keeps_what_docker_cannot_say(world: World) -> None:
    await world.start("--name", "web", "-p", "8080:80", "demo:1")
    (service,) = world.manager.store.state.services.values()
    spec = service.spec
    container = msgspec.structs.replace(spec.task_template.container_spec, host_config=HostConfig(privileged=True))
    assert spec.endpoint_spec
    ports = [msgspec.structs.replace(port, host_ip="127.0.0.1") for port in spec.endpoint_spec.ports]
    wanted = msgspec.structs.replace(
        spec,
        task_template=msgspec.structs.replace(spec.task_template, container_spec=container),
        endpoint_spec=msgspec.structs.replace(spec.endpoint_spec, ports=ports),
    )
    changed = msgspec.structs.replace(service, spec=wanted, revision=2)
    await world.manager.store.commit([Put(SERVICE, service.id, changed)])
    await world.until(lambda state: state.service_decisions[service.id].revision == 2)

    await world.docker("service", "update", "-d", "--env-add", "A=b", "web")

    now = world.manager.store.state.services[service.id].spec
    assert now.task_template.container_spec.env == ["A=b"]
    assert now.task_template.container_spec.host_config == HostConfig(privileged=True)
    assert now.endpoint_spec
    assert [port.host_ip for port in now.endpoint_spec.ports] == ["127.0.0.1"]
