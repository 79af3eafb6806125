"""Replacement of a stack's networks: services stop, networks are removed and created again, services start again.

After an interruption the next deploy finds services that differ and networks that are missing, and continues.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import msgspec

from api.engine.networks import NetworkAnswer
from api.engine.services import ServiceAnswer
from api.service.placement import Placement
from api.service.service_spec import ServiceSpec
from cli.client import Client
from cli.command_errors import ApiError, Failed
from cli.show.service_progress import PERIOD, Wait, tasks_of
from cli.states import is_alive
from compose.deploy.deploy_plan import DeployPlan
from kit.durations import short_duration

_replace = msgspec.structs.replace
_NOWHERE = "node.id==none"
"""A constraint that no node meets."""


class NetworkReplacement:
    """The networks of a deploy that are to be replaced, and the services on them."""

    def __init__(self, client: Client, plan: DeployPlan, wait: Wait, say: Callable[[str], None]) -> None:
        self.client = client
        self.wait = wait
        self.say = say
        self.networks = {change.current.id: change.current for change in plan.networks if change.current}
        users = {service.id: service for change in plan.networks for service in change.users}
        pruned = {service.id for service in plan.prune}
        pruned |= {change.current.id for change in plan.services if change.current and change.is_made_anew}
        self.users = {id: service for id, service in users.items() if id not in pruned}
        self.deployed = {change.current.id for change in plan.services if change.current}

    def take_down(self) -> None:
        """Stop the services, then remove the networks. Raises Failed when that takes too long."""
        if not self.networks:
            return
        for service in self.users.values():
            spec = detached(service.spec, self.networks)
            self.client.send(f"/services/{service.id}/update", spec, {"version": service.version.index})
            self.say(f"Stopped service {service.spec.name}")
        self._until(self._tasks_left, "tasks of its services still run")
        for network in self.networks.values():
            self.client.delete(f"/networks/{network.id}")
            self.say(f"Removed network {network.name}")
        self._until(self._networks_left, "it is not gone")

    def bring_back(self) -> None:
        """Start the services that are not part of the deploy, as they were."""
        names = {id: network.name for id, network in self.networks.items()}
        for service in self.users.values():
            if service.id not in self.deployed:
                now = self.client.get(f"/services/{service.id}", ServiceAnswer)
                spec = attached(service.spec, names)
                self.client.send(f"/services/{service.id}/update", spec, {"version": now.version.index})
                self.say(f"Restarted service {service.spec.name}")

    def _until(self, left: Callable[[], bool], problem: str) -> None:
        end = time.monotonic() + self.wait.timeout
        while left():
            if time.monotonic() > end:
                names = ", ".join(network.name for network in self.networks.values())
                raise Failed(
                    f"network {names} could not be replaced within {short_duration(self.wait.timeout)}: {problem}; "
                    "deploy again to go on"
                )
            time.sleep(PERIOD)

    def _tasks_left(self) -> bool:
        return any(
            is_alive(task.status.state, task.desired_state)
            for id in self.users
            for task in tasks_of(self.client, {"service": [id]})
        )

    def _networks_left(self) -> bool:
        for id in self.networks:
            try:
                self.client.get(f"/networks/{id}", NetworkAnswer)
            except ApiError as error:
                if not error.is_missing:
                    raise
            else:
                return True
        return False


def detached(spec: ServiceSpec, networks: Iterable[str]) -> ServiceSpec:
    """The spec without some networks (ids), without tasks and without dependencies."""
    ids = set(networks)
    task = spec.task_template
    left = [target for target in spec.network_targets if target.target not in ids]
    if spec.is_replicated:
        spec = spec.scaled(0)
    else:
        placement = task.placement or Placement()
        task = _replace(task, placement=_replace(placement, constraints=[*placement.constraints, _NOWHERE]))
    return _replace(spec, networks=[], depends_on=[], task_template=_replace(task, networks=left))


def attached(spec: ServiceSpec, names: Mapping[str, str]) -> ServiceSpec:
    """The spec with replaced networks (id → name) by name, so that it finds the new ones."""
    task = spec.task_template
    targets = [_replace(t, target=names.get(t.target, t.target)) for t in spec.network_targets]
    return _replace(spec, networks=[], task_template=_replace(task, networks=targets))
