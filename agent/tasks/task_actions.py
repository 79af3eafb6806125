"""Task actions: one method per action of agent/lifecycle/step.py, over the runtime and the networks.

All are idempotent. Each records its result by `see`; the step function decides what comes next.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from msgspec.structs import replace

from agent.lifecycle import container_plan, task_files
from agent.lifecycle.health import Check, Health, HealthState, check_of
from agent.lifecycle.step import Action, Observed, Wanted
from agent.runtime.interface import Runtime, RuntimeFailure, container_id
from agent.session.status_reporter import StatusReporter
from agent.tasks import hooks
from agent.tasks.checkpoint import Checkpoint
from agent.tasks.health_probe import probe_forever
from api.defaults import DRAIN_LIMIT
from api.errors import ArgosyError
from api.service.container import ContainerSpec
from api.wire.assignments import SpecAssignment
from kit.timing import Clock, backoff
from kit.troubles import Troubles
from overlay.interface import Networks

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunnerContext:
    """What all task runners of a host share."""

    node_id: str
    runtime: Runtime
    networks: Networks
    reporter: StatusReporter
    checkpoint: Checkpoint
    places: asyncio.Semaphore
    """Limits the containers being started at once; served in order of arrival."""
    removals: asyncio.Semaphore
    """Limits the containers being removed at once."""
    clock: Clock
    rng: random.Random
    address: str = ""
    """The host's address for its containers (`host-gateway`)."""
    hostname: str = ""
    architecture: str = ""
    """The kernel's name for it. Templates in specs may use hostname and architecture."""
    on_health_change: Callable[[str, str], None] = lambda *_: None
    """Called with a container's id and its new health when that has changed."""
    troubles: Troubles = field(default_factory=Troubles)
    """What does not work on the host at present."""


class TaskActions:
    """One task's wanted and observed state, and the actions on it. `changed` is set when either state changes."""

    def __init__(self, context: RunnerContext, wanted: Wanted, seen: Observed) -> None:
        self.wanted = wanted
        self.seen = seen
        self.changed = asyncio.Event()
        self.delays = backoff(context.rng)
        self.id = container_id(wanted.order.id)
        self._context = context

    def see(self, **facts: Any) -> None:
        """Update the observed state; the arguments are fields of Observed."""
        self.seen = replace(self.seen, **facts)

    async def perform(self, action: Action) -> None:
        """Perform an action. Raises ArgosyError when it fails."""
        match action:
            case Action.FETCH:
                await self._fetch(self._spec)
            case Action.CONNECT:
                await self._connect()
            case Action.QUEUE:
                await self._queue()
            case Action.OPEN:
                await self._open(self._spec)
            case Action.CREATE:
                await self._create(self._spec)
            case Action.START:
                await self._start()
            case Action.HOOK:
                await self._post_start(self._spec.task.container_spec)
            case Action.WATCH:
                await self._watch()
            case Action.DRAIN:
                await self._drain()
            case Action.LINGER:
                self.see(drained=True)
                await asyncio.sleep(self.wanted.order.linger)
                self.see(lingered=True)
            case Action.STOP:
                await self._stop()
            case Action.CLOSE:
                await self._close()
            case Action.REMOVE:
                await self._remove()
            case Action.IDLE | Action.LEAVE:
                pass

    @property
    def _spec(self) -> SpecAssignment:
        """The spec with its templates expanded for this task. Raises RuntimeFailure."""
        assert self.wanted.spec
        context = self._context
        return container_plan.spec_for(
            self.wanted.order, self.wanted.spec, context.node_id, context.hostname, context.architecture
        )

    async def _fetch(self, spec: SpecAssignment) -> None:
        container = spec.task.container_spec
        login = task_files.login(self.wanted.order.service_id, self.wanted.files)
        reference = container.image if container.pull_policy == "always" else self.wanted.image or container.image
        image = await self._context.runtime.image(reference, self.wanted.peers, container.pull_policy, login)
        self.see(image=image)

    async def _connect(self) -> None:
        await self._context.networks.ready(container_plan.networks_of(self.wanted.order))
        self.see(connected=True)

    async def _queue(self) -> None:
        await self._context.places.acquire()
        self.see(turn=True)

    def leave_place(self) -> None:
        """Free the task's place among the starting containers, if it has one."""
        if self.seen.turn:
            self.see(turn=False)
            self._context.places.release()

    async def _open(self, spec: SpecAssignment) -> None:
        if container_plan.uses_host_network(spec):
            self.see(netns="")
            return
        self.see(maybe_sandbox=True)
        netns = await self._context.networks.open(container_plan.sandbox_of(self.wanted.order, spec))
        self.see(netns=netns, ports=container_plan.ports_of(self._context.networks.host_ports(self.id)))

    async def _create(self, spec: SpecAssignment) -> None:
        assert self.seen.image
        assert self.seen.netns is not None
        addresses = self._context.networks.addresses(self.id) if self.seen.netns else {}
        plan = container_plan.container_of(
            self.wanted.order,
            spec,
            self._context.node_id,
            self.seen.image,
            self.seen.netns,
            addresses,
            task_files.planned(spec.task.container_spec, self.wanted.files),
            self._context.address,
        )
        self.see(maybe_container=True)
        await self._context.runtime.create(plan)
        self.see(created=True)

    async def _start(self) -> None:
        pid = await self._context.runtime.start(self.id)
        health = Health(HealthState.STARTING if self._check else HealthState.NONE)
        self.see(pid=pid, started=self._context.clock(), health=health)

    async def _post_start(self, spec: ContainerSpec) -> None:
        """Run the post_start commands. A failure fails the task, as in Compose. If the container ends first, its exit
        code counts.
        """
        end = asyncio.ensure_future(self._context.runtime.wait(self.id))
        run = asyncio.ensure_future(hooks.run_all(self._context.runtime, self.id, "post_start", spec.post_start))
        try:
            await asyncio.wait([end, run], return_when=asyncio.FIRST_COMPLETED)
            if not end.done():
                await run
                return self.see(hooked=True)
        finally:
            for task in (end, run):
                task.cancel()
            await asyncio.gather(end, run, return_exceptions=True)
        return self.see(exit=end.result(), hooked=True)

    @property
    def _check(self) -> Check | None:
        spec, image = self.wanted.spec, self.seen.image
        return check_of(spec.task.container_spec.healthcheck if spec else None, image.healthcheck if image else None)

    async def _watch(self) -> None:
        async with asyncio.TaskGroup() as group:
            helpers = [group.create_task(self._readopt()), group.create_task(self._probe())]
            exit = await self._context.runtime.wait(self.id)
            for helper in helpers:
                helper.cancel()
        self.see(exit=exit)

    async def _readopt(self) -> None:
        # An earlier agent started the container: open its sandbox again, so that its DNS queries are answered.
        spec = self.wanted.spec
        while spec and self.seen.netns is None:
            try:
                await self._context.networks.ready(container_plan.networks_of(self.wanted.order))
                async with self._context.places:
                    await self._open(self._spec)
                self.changed.set()
            except ArgosyError as error:
                log.warning("cannot take over a sandbox yet", task=self.wanted.order.name, why=str(error))
                await asyncio.sleep(next(self.delays))

    async def _probe(self) -> None:
        if check := self._check:
            await probe_forever(
                self._context.runtime,
                self.id,
                check,
                self.seen.health,
                self.seen.started,
                self._context.clock,
                self._judge,
            )

    def _judge(self, health: Health) -> None:
        if health.state is not self.seen.health.state:
            self._context.on_health_change(self.id, health.state.value)
        self.see(health=health)
        self.changed.set()

    async def _drain(self) -> None:
        """Wait for as long as draining may take. The runner cancels this when the managers report that it is done."""
        await asyncio.sleep(DRAIN_LIMIT)
        log.warning("stopping although a host may still send it connections", task=self.wanted.order.name)
        self.see(drained=True)

    async def _stop(self) -> None:
        spec, image = self.wanted.spec, self.seen.image
        container = spec.task.container_spec if spec else ContainerSpec()
        signal = container.stop_signal or (image.stop_signal if image else "")
        await self._pre_stop(container, container.grace_seconds)
        try:
            await self._context.runtime.stop(self.id, signal, container.grace_seconds)
        except RuntimeFailure as error:
            if not signal:
                raise
            # An image may name a signal that does not exist; its containers must be stoppable all the same.
            log.warning("stopping with SIGTERM instead", task=self.wanted.order.name, why=str(error))
            await self._context.runtime.stop(self.id, "", container.grace_seconds)
        self.see(exit=await self._context.runtime.wait(self.id))

    async def _pre_stop(self, spec: ContainerSpec, grace: float) -> None:
        """Run the pre_stop commands for at most `grace` seconds. The container is stopped whatever their result."""
        try:
            async with asyncio.timeout(grace):
                await hooks.run_all(self._context.runtime, self.id, "pre_stop", spec.pre_stop)
        except (ArgosyError, TimeoutError) as error:
            log.warning("pre_stop did not end well", task=self.wanted.order.name, why=str(error) or "out of time")

    async def _close(self) -> None:
        await self._context.networks.close(self.id)
        self.see(maybe_sandbox=False, netns=None)

    async def _remove(self) -> None:
        async with self._context.removals:
            await self._context.runtime.remove(self.id)
        self.see(maybe_container=False, created=False)
