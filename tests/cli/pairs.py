"""Random compose projects, and what a plan says of one after another, in words that can be compared with what happened.

Two tests use them: against the API and the planners (tests/cli/test_plan_and_deploy.py), and against real containers in
a lab (tests/e2e/test_plan.py).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from compose.deploy.deploy_plan import DeployPlan
from compose.load import load
from compose.model.stack import Stack

NAMES = ("db", "api", "web", "job")


@dataclass(frozen=True)
class Shape:
    """What the projects are made of."""

    images: tuple[str, str] = ("demo:1", "demo:2")
    most_replicas: int = 3
    first_port: int = 8000
    common: Mapping[str, Any] = field(default_factory=dict)
    """What every service has."""


def project(rng: random.Random, ports_move: bool, shape: Shape) -> dict[str, Any]:
    """A random compose project. Let ports move between services only where none that holds one is left behind."""
    names = [name for name in NAMES if rng.random() < 0.8] or ["web"]
    services = {
        name: _service(rng, names[:number], number if ports_move else NAMES.index(name), shape)
        for number, name in enumerate(names)
    }
    networks = {name: {"internal": rng.random() < 0.05} for name in ("front", "back")}
    configs = {"conf": {"content": rng.choice(["one", "two"])}}
    secrets = {"key": {"environment": rng.choice(["OLD_KEY", "NEW_KEY"])}}
    return {"services": services, "networks": networks, "configs": configs, "secrets": secrets}


def _service(rng: random.Random, before: list[str], number: int, shape: Shape) -> dict[str, Any]:
    """A random service that may depend on those before it."""
    found: dict[str, Any] = {**shape.common, "image": rng.choice(shape.images)}
    deploy: dict[str, Any] = {"labels": {"tier": rng.choice("ab")}}
    if rng.random() < 0.2:
        deploy["mode"] = "global"
    else:
        deploy["replicas"] = rng.randint(0, shape.most_replicas)
    if rng.random() < 0.3:
        deploy["placement"] = {"constraints": [rng.choice(["node.role == worker", "node.hostname != w9"])]}
    found["deploy"] = deploy
    if rng.random() < 0.5:
        found["environment"] = {name: str(rng.randint(0, 2)) for name in "AB" if rng.random() < 0.7}
    if rng.random() < 0.6:
        found["networks"] = sorted(rng.sample(["front", "back"], rng.randint(1, 2)))
    if rng.random() < 0.4:
        found["configs"] = ["conf"]
    if rng.random() < 0.2:
        found["secrets"] = ["key"]
    if rng.random() < 0.3:
        found["ports"] = [f"{shape.first_port + number}:80"]
    if before and rng.random() < 0.5:
        found["depends_on"] = {rng.choice(before): {"condition": "service_started", "restart": rng.random() < 0.5}}
    return found


def stack_of(content: Mapping[str, Any], name: str) -> Stack:
    """The project as `stack deploy` would see it."""
    text = yaml.safe_dump(content)
    environment = {"OLD_KEY": "old", "NEW_KEY": "new"}
    return load(["c.yml"], environment, name, "/nowhere", lambda path: text if path.endswith("c.yml") else None).stack


@dataclass(frozen=True)
class Sight:
    """What there is of a stack, by name: services and networks with their ids."""

    services: Mapping[str, tuple[str, int]]
    """With a number that changes when the service does."""
    networks: Mapping[str, str]
    files: frozenset[str]
    """"config NAME", "secret NAME"."""


def happened(old: Sight, new: Sight) -> set[str]:
    """The differences, in the words of a plan."""
    lines = {f"create service {name}" for name in new.services.keys() - old.services.keys()}
    lines |= {f"remove service {name}" for name in old.services.keys() - new.services.keys()}
    for name in old.services.keys() & new.services.keys():
        (old_id, was), (new_id, now) = old.services[name], new.services[name]
        if old_id != new_id:
            lines.add(f"replace service {name}")
        elif was != now:
            lines.add(f"change service {name}")
    lines |= {f"create network {name}" for name in new.networks.keys() - old.networks.keys()}
    lines |= {f"remove network {name}" for name in old.networks.keys() - new.networks.keys()}
    both = old.networks.keys() & new.networks.keys()
    lines |= {f"replace network {name}" for name in both if old.networks[name] != new.networks[name]}
    lines |= {f"create {name}" for name in new.files - old.files}
    return lines | {f"remove {name}" for name in old.files - new.files}


def foretold(changes: DeployPlan) -> set[str]:
    """The plan's own lines, without fields, reasons, and what stays as it is."""
    lines = {line for line in changes.lines() if not line.startswith((" ", "unchanged"))}
    users = {service.spec.name for change in changes.networks for service in change.users}
    gone = {service.spec.name for service in changes.prune}
    gone |= {change.spec.name for change in changes.services if change.is_made_anew}
    lines |= {f"change service {name}" for name in users - gone}
    return {line.replace("update service", "change service").replace("restart service", "change service")
            for line in lines}  # fmt: skip


def restarts(changes: DeployPlan) -> dict[str, bool]:
    """Services that there were and that stay → whether the plan says that their tasks are replaced."""
    found: dict[str, bool] = {}
    name = ""
    for line in changes.lines():
        if not line.startswith(" "):
            verb, kind, name = line.split()
            if kind == "service" and verb in ("update", "restart", "unchanged"):
                found[name] = False
        elif line.startswith("    restart: ") and name in found:
            found[name] = True
        elif line.startswith("    stops until it is there again: "):
            found |= dict.fromkeys(line.partition(": ")[2].split(", "), True)
    for service in changes.prune:
        found.pop(service.spec.name, None)
    return {name: is_said for name, is_said in found.items() if not _is_anew(changes, name)}


def _is_anew(changes: DeployPlan, name: str) -> bool:
    return any(change.spec.name == name and change.is_made_anew for change in changes.services)
