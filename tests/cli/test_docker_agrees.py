"""The docker client and ours mean the same by the same compose file: what one deployed, the other finds unchanged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kit.process import run
from tests.cli.test_control_plane import _client
from tests.manager.http.world import control_plane

DOCKER = next((path for path in ("/usr/local/bin/docker", shutil.which("docker") or "") if Path(path).is_file()), "")

# what both take; docker's frozen schema knows nothing newer
COMPOSE = """
version: "3.9"
services:
  web:
    image: demo:1
    entrypoint: /bin/serve --fast
    command: ["one", "two words"]
    hostname: web
    user: "1000:1000"
    working_dir: /srv
    init: true
    read_only: true
    stop_signal: SIGINT
    stop_grace_period: 1m30s
    environment: {B: "2", A: x=y}
    labels: {tier: front}
    cap_add: [NET_ADMIN]
    cap_drop: [ALL]
    dns: [10.0.0.2]
    dns_search: [example.com]
    extra_hosts: ["db:10.0.0.9"]
    sysctls: {net.core.somaxconn: "1024"}
    ulimits: {nproc: 100, nofile: {soft: 1024, hard: 2048}}
    healthcheck: {test: "exit 0", interval: 30s, timeout: 3s, retries: 3, start_period: 10s}
    secrets: [word, {source: own, target: /run/own, mode: 0400}]
    configs: [{source: conf, target: /etc/conf}]
    logging: {driver: json-file, options: {max-size: 10m}}
    ports: ["8080:80", "9000-9001:9000-9001", {target: 70, published: 7070, protocol: udp, mode: host}]
    networks: {front: {aliases: [www]}, default: {}}
    volumes:
      - data:/data:ro
      - ./conf:/conf
      - /anonymous
      - {type: tmpfs, target: /tmp, tmpfs: {size: 1048576}}
      - {type: volume, source: shared, target: /shared, volume: {nocopy: true}}
    deploy:
      replicas: 2
      labels: {kind: shop}
      update_config: {parallelism: 2, delay: 1s, failure_action: rollback, monitor: 10s, order: start-first}
      rollback_config: {parallelism: 1}
      resources: {limits: {cpus: "0.50", memory: 64M, pids: 50}, reservations: {cpus: "0.25", memory: 32M}}
      restart_policy: {condition: on-failure, delay: 5s, max_attempts: 3, window: 2m}
      placement: {constraints: ["node.role == worker"], preferences: [{spread: node.labels.zone}]}
  agent:
    image: demo:1
    restart: always
    deploy: {mode: global, endpoint_mode: dnsrr}
secrets: {word: {file: ./word}, own: {file: ./own, name: own-name}}
configs: {conf: {file: ./conf-file}}
networks: {front: {driver: overlay, attachable: true}}
volumes: {data: {driver: local, driver_opts: {type: none, o: bind, device: /srv/data}}, shared: {external: true}}
"""


@pytest.mark.skipif(not DOCKER, reason="needs the docker client")
async def test_what_docker_deployed_is_unchanged_for_us(tmp_path: Path) -> None:
    file = tmp_path / "shop.yml"
    file.write_text(COMPOSE)
    for name in ("word", "own", "conf-file"):
        (tmp_path / name).write_text(f"what {name} says")
    async with control_plane(tmp_path, DOCKER) as world:
        await world.docker("stack", "deploy", "--detach=true", "-c", str(file), "shop")
        env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "DOCKER_HOST": f"unix://{world.socket}"}
        result = await run(
            _client(tmp_path), "stack", "deploy", "--dry-run", "-c", str(file), "shop", env=env, timeout=60
        )
        told = result.stderr.decode().splitlines()
        assert [line for line in told if not line.startswith("WARNING: shop_web binds")] == []
        assert set(result.stdout.decode().splitlines()) == {
            "unchanged service shop_web",
            "unchanged service shop_agent",
        }


@pytest.mark.skipif(not DOCKER, reason="needs the docker client")
@pytest.mark.parametrize("first", ["docker", "argosy"])
async def test_deploying_the_same_file_by_one_and_the_other_restarts_nothing(tmp_path: Path, first: str) -> None:
    file = tmp_path / "shop.yml"
    file.write_text(COMPOSE.replace("shared: {external: true}", "shared: {}"))
    for name in ("word", "own", "conf-file"):
        (tmp_path / name).write_text(f"what {name} says")
    async with control_plane(tmp_path, DOCKER) as world:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "DOCKER_HOST": f"unix://{world.socket}"}

        async def deploy(client: str) -> dict[str, int]:
            """Services, and the revision that each is wanted in."""
            if client == "docker":
                await world.docker("stack", "deploy", "--detach=true", "-c", str(file), "shop")
            else:
                command = ["stack", "deploy", "--detach", "-c", str(file), "shop"]
                result = await run(_client(tmp_path), *command, env=env, timeout=60)
                assert result.ok, result.stderr.decode()
            return {one.spec.name: one.revision for one in world.manager.store.state.services.values()}

        other = "argosy" if first == "docker" else "docker"
        revisions = [await deploy(client) for client in (first, other, first, other)]

        assert revisions == [{"shop_web": 1, "shop_agent": 1}] * 4
