"""Images of a registry that asks for a login: sent with the service, used by its hosts, shown to nobody."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.world import World
from tests.images import docker_archive

REGISTRY = "127.0.0.1:5701"
PASSWORD = "opensesame"
HTPASSWD = "me:$2b$04$dVfh/kewYinF6pObTWJgeOoQ2OPw7ffJFLLTMy5OaGscGeyymVs0u"
CONFIG = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {root}/registry}}}}
http: {{addr: "{address}"}}
auth: {{htpasswd: {{realm: test, path: {root}/htpasswd}}}}
"""
HOSTS = ("m1", "w1")
"""One resolves tags, the other pulls; the registry is on the loopback of both."""


@pytest.fixture
def private(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The registry with images one and two, and a user who is logged in."""
    token = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {REGISTRY: {"auth": token}}}))
    (tmp_path / "htpasswd").write_text(HTPASSWD + "\n")
    (tmp_path / "registry.yml").write_text(CONFIG.format(root=tmp_path, address=REGISTRY))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    serve = f"docker-registry serve {tmp_path}/registry.yml >{tmp_path}/log 2>&1 & echo $!"
    pids = {host: int(world.inside(host, serve)) for host in HOSTS}
    for name in ("one", "two"):
        docker_archive(tmp_path / f"{name}.tar", [], config={"Labels": {"name": name}})
        push = (
            f"skopeo --insecure-policy copy -q --dest-creds me:{PASSWORD} --dest-tls-verify=false "
            f"docker-archive:{tmp_path}/{name}.tar docker://{REGISTRY}/{name}:1"
        )
        world.until(lambda: world.inside("m1", push + " && echo done"))  # noqa: B023
    yield
    for host, pid in pids.items():
        world.inside(host, f"kill {pid}")
    for service in ("without", "ours", "dockers"):
        world.docker("service", "rm", service)


@pytest.mark.usefixtures("private")
def test_a_login_that_is_sent_with_a_service_is_used_by_its_hosts_and_never_shown(world: World) -> None:
    flags = ("--constraint", "node.hostname==w1", "--stop-signal", "SIGKILL", "--restart-delay", "200ms",
             "--update-monitor", "500ms")  # fmt: skip
    run = (*flags, f"{REGISTRY}/one:1", "sleep", "3600")
    said = world.argosy("service", "create", "--name", "without", *run, code=1)
    assert "authentication required" in said

    world.argosy("service", "create", "--name", "ours", "--with-registry-auth", *run)
    (spec,) = json.loads(world.argosy("service", "inspect", "ours"))
    assert "@sha256:" in spec["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
    world.docker("service", "create", "-q", "--name", "dockers", "--with-registry-auth", *flags,
                 f"{REGISTRY}/two:1", "sleep", "3600")  # fmt: skip
    world.until_running("dockers", 1)

    shown = world.argosy("service", "inspect", "ours") + json.dumps(world.api("/services/ours"))
    token = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    assert not [word for word in (PASSWORD, token, "login") if word in shown]
    for host in world.hosts:
        world.inside(host, f"! grep -rqs -e {PASSWORD} -e {token} /var/lib/argosy /run/argosy")
