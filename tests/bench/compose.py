"""How fast a compose file of 200 services loads and is compared with what the cluster has of it.

Usage: .venv/bin/python -m tests.bench.compose [SERVICES]. Prints JSON: CPU seconds of loading (with the file's YAML),
of `stack plan` against a cluster that runs the stack as it was before one change, and of both; each the best of five.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable

from compose.deploy.deploy_plan import DeploySnapshot, plan_deploy
from compose.load import LoadedProject, load
from tests.cli.answers import a_service

SERVICES = 200
ROUNDS = 5
SERVICE = """\
  service{n}:
    <<: *usual
    image: registry.example.com/team/service{n}:${{TAG:-1.{n}}}
    command: ["/bin/service", "--listen", ":80{n:03}", "--name=service{n}"]
    environment:
      - NAME=service{n}
      - DATABASE_URL=postgres://user:secret@db{n}:5432/app?sslmode=disable
      - LOG_LEVEL
      - MODE=${{MODE:-production}}
    ports: ["{port}:8080", "127.0.0.1:{other}:9090/tcp"]
    networks: [front, back{group}]
    volumes: ["data{n}:/var/lib/data", "./conf/{n}:/etc/x:ro", {{type: tmpfs, target: /run/x, tmpfs: {{size: 64m}}}}]
    depends_on: {{service{before}: {{condition: service_healthy, restart: true}}}}
    labels: {{team: "group{group}", traefik.enable: "true"}}
    secrets: [{{source: token, target: token, mode: 0400}}]
    configs: [settings]
    deploy:
      replicas: {replicas}
      update_config: {{parallelism: 2, delay: 5s, order: start-first, failure_action: rollback}}
      resources: {{limits: {{cpus: "0.5", memory: 256M}}, reservations: {{memory: 64M}}}}
      placement: {{constraints: [node.labels.zone == z{group}], preferences: [{{spread: node.labels.rack}}]}}
"""


def compose_file(services: int, tag: str = "") -> str:
    """The text; `tag` is that of the last service, to have a change."""
    head = (
        "x-usual: &usual\n  restart: unless-stopped\n  init: true\n"
        '  healthcheck: {test: ["CMD", "true"], interval: 10s, timeout: 2s, retries: 3}\n'
        "  logging: {driver: json-file, options: {max-size: 10m, max-file: '3'}}\nservices:\n"
    )
    body = "".join(
        SERVICE.format(n=n, port=10000 + n, other=20000 + n, group=n % 10, before=n - 1, replicas=1 + n % 5)
        for n in range(1, services + 1)
    ).replace("    depends_on: {service0: {condition: service_healthy, restart: true}}\n", "")
    volumes = "".join(f"  data{n}: {{driver_opts: {{type: none}}}}\n" for n in range(1, services + 1))
    networks = "".join(f"  back{n}: {{internal: true}}\n" for n in range(10))
    files = "secrets: {token: {environment: TOKEN}}\nconfigs: {settings: {content: 'level=${LEVEL:-info}'}}\n"
    text = f"{head}{body}networks:\n  front: {{}}\n{networks}volumes:\n{volumes}{files}"
    return text.replace("${TAG:-1.7}", f"${{TAG:-{tag}}}") if tag else text


def loaded(text: str) -> LoadedProject:
    """The stack of a text."""

    def read(path: str) -> bytes | None:
        return text.encode() if path == "-" else None

    return load(["-"], {"TOKEN": "t0k3n"}, "bench", "/srv/bench", read)


def best(action: Callable[[], object]) -> float:
    """CPU seconds of the fastest round."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    """Measure and print."""
    services = int(sys.argv[1]) if len(sys.argv) > 1 else SERVICES
    before, text = loaded(compose_file(services)).stack, compose_file(services, tag="changed")
    stack = loaded(text).stack
    snapshot = DeploySnapshot(
        services=[a_service(f"id{n}", item.spec, n) for n, item in enumerate(before.services)],
    )
    loading, planning = best(lambda: loaded(text)), best(lambda: plan_deploy(stack, snapshot))
    figures = {
        "services": services,
        "bytes": len(text),
        "load_cpu_s": round(loading, 3),
        "plan_cpu_s": round(planning, 3),
        "load_and_plan_cpu_s": round(loading + planning, 3),
        "python": platform.python_version(),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
