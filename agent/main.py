"""The agent, put together: all its parts run in one TaskGroup. Crash-only: no state exists only in memory.

managers ⇄ connector ⇄ session ⇄ worker → runner (lifecycle/step) → runtime, networks
                          ↑ statuses: reporter ← runner       disk: checkpoint
"""

from __future__ import annotations

import asyncio
import platform
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from typing import Any, NoReturn, TypeVar

import structlog

from agent.lifecycle.health import Health
from agent.node_description import describe_host
from agent.options import AgentConfig
from agent.runtime.bundle import cdi
from agent.runtime.interface import Runtime
from agent.serving.callers import Callers
from agent.session.interface import Connector
from agent.session.known_managers import KnownManagers
from agent.session.session import ManagerSession
from agent.session.status_reporter import StatusReporter
from agent.tasks.checkpoint import Checkpoint
from agent.tasks.task_actions import RunnerContext
from agent.tasks.worker import Worker
from api.errors import ArgosyError
from api.objects.observed import NodeDescription
from api.wire.assignments import NetworkAssignment
from api.wire.host_messages import ManagersNotice
from api.wire.session_messages import Assignments
from kit.supervisor import supervise
from kit.timing import Clock, backoff
from kit.troubles import Troubles, error_sentence
from overlay.interface import Networks

log = structlog.get_logger(__name__)

T = TypeVar("T")
TROUBLES_PERIOD = 1.0
"""Seconds between two descriptions that are sent because of troubles."""
HOST_CHECK_PERIOD = 5.0
"""Seconds between two checks of the CDI files and of the host's addresses and routes for changes."""

__all__ = ["Agent", "AgentConfig"]


class Agent:
    """Runs the tasks of one host."""

    def __init__(
        self,
        config: AgentConfig,
        runtime: Runtime,
        networks: Networks,
        connector: Connector,
        clock: Clock,
        rng: random.Random | None = None,
        on_health_change: Callable[[str, str], None] = lambda *_: None,
        troubles: Troubles | None = None,
    ) -> None:
        """`on_health_change` is called with a container's id and its new health. `troubles` is shared with the other
        parts of the host; all of them are reported to the managers.
        """
        self._troubles = troubles or Troubles()
        self._config = config
        self._runtime = runtime
        self._networks = networks
        self._connector = connector
        self._clock = clock
        self._rng = rng or random.Random()
        self._on_health_change = on_health_change
        self._checkpoint = Checkpoint(config.directory, self._troubles)
        self._managers = KnownManagers(config.directory / "managers.json", config.managers, self._rng)
        self._worker: Worker | None = None
        self._held: list[Assignments] = []
        self._up = asyncio.Event()
        self._session: ManagerSession | None = None
        self._last_prefixes: tuple[str, ...] = ()
        self.callers = Callers(lambda: self._checkpoint.assignments.members())
        """Access control for calls to this host."""

    async def run(self) -> NoReturn:
        """Run until cancelled. Containers, networks and DNS stay as they are; the next agent takes them over."""
        self._worker, self._held = None, []
        self._up.clear()
        self._checkpoint.load()
        reporter = StatusReporter()
        context = RunnerContext(
            node_id=self._config.node_id,
            runtime=self._runtime,
            networks=self._networks,
            reporter=reporter,
            checkpoint=self._checkpoint,
            places=asyncio.Semaphore(self._config.starts),
            removals=asyncio.Semaphore(self._config.starts),
            clock=self._clock,
            rng=self._rng,
            address=self._config.address,
            hostname=self._config.hostname,
            architecture=platform.machine(),
            on_health_change=self._on_health_change,
            troubles=self._troubles,
        )
        session = self._session = ManagerSession(
            self._connector,
            self._managers,
            reporter,
            self._apply,
            self._routed,
            await self._describe(),
            self._rng,
        )
        works: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
            "session": session.run,
            "images": partial(self._watch_images, session),
            "host": partial(self._watch_host, session),
            "troubles": partial(self._watch_troubles, session),
        }
        try:
            async with asyncio.TaskGroup() as group:
                for name, work in works.items():
                    group.create_task(supervise(work, name, self._troubles, self._delays), name=name)
                await self._bring_up(context, group)
        finally:
            await self._networks.stop()
            self._checkpoint.close()
            self._troubles.clear()
        raise AssertionError("the session never ends")

    async def _bring_up(self, context: RunnerContext, group: asyncio.TaskGroup) -> None:
        """Take over what an earlier agent left: first the networks, then the tasks on them. Retried until it works;
        meanwhile the session is up, and reports to the managers what fails.
        """
        await self._until_done("networks", self._networks.start)
        containers = await self._until_done("list of containers", self._runtime.containers)
        images = await self._until_done("list of images", self._runtime.images)
        worker = Worker(context, group)
        worker.restore(containers, images)
        self._worker = worker
        held, self._held = self._held, []
        for message in held:
            self._apply(message)
        self._up.set()

    async def _until_done(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        for delay in self._delays():
            try:
                result = await work()
                self._troubles.resolve(name)
                return result
            except Exception as error:
                known = isinstance(error, ArgosyError | OSError)
                self._troubles.report(name, error_sentence(error), None if known else error)
                await asyncio.sleep(delay)
        raise AssertionError("delays have no end")

    def _delays(self) -> Iterator[float]:
        return backoff(self._rng, first=0.5, most=15.0)

    async def _routed(self) -> None:
        await self._up.wait()
        await self._networks.routed()

    def relocated(self, old: str, new: str) -> None:
        """Follow a change of the host's address: if this host is a manager, the known address changes too."""
        self._managers.relocate(old, new)

    def find(self, notice: ManagersNotice) -> None:
        """Store the managers' addresses that a manager announced, and try them at once."""
        self._managers.update(notice.managers, notice.ids)
        if self._session is not None:
            self._session.hurry()

    def health(self, task_id: str) -> Health:
        """A task's health, for the Engine API."""
        return self._worker.health(task_id) if self._worker else Health()

    def network_name(self, id: str) -> str:
        """The name of a network of this host; for any other network, its id."""
        network = self._checkpoint.assignments.network(id)
        return network.name if network else id

    def networks(self) -> list[NetworkAssignment]:
        """The networks of this host."""
        return list(self._checkpoint.assignments.view().networks.values())

    async def farewell(self) -> None:
        """Tell the managers that this node leaves, so that they need not wait until its lease expires."""
        if self._session:
            await self._session.farewell()

    async def leave(self) -> None:
        """Remove all containers, networks and files of the agent: the node leaves the cluster. Not while `run` runs."""
        for container in await self._runtime.containers():
            if container.task_id:
                await self._runtime.remove(container.id)
        await self._networks.remove_all()
        self._checkpoint.erase()
        self._managers.erase()

    def _apply(self, message: Assignments) -> None:
        if self._worker is None:
            self._held = [*([] if message.full else self._held), message]
            return
        self._worker.apply(message)
        self.callers.recheck()

    async def _describe(self) -> NodeDescription:
        try:
            images = await self._runtime.images()
            self._troubles.resolve("list of images")
        except (ArgosyError, OSError) as error:
            images = []
            self._troubles.report("list of images", error_sentence(error))
        return describe_host(self._config, images, self._troubles.sentences(), await self._prefixes())

    async def _prefixes(self) -> tuple[str, ...]:
        """The host's address prefixes; the last known ones if they cannot be read."""
        try:
            self._last_prefixes = await self._networks.prefixes()
            self._troubles.resolve("addresses and routes")
        except (ArgosyError, OSError) as error:
            self._troubles.report("addresses and routes", error_sentence(error))
        return self._last_prefixes

    async def _watch_host(self, session: ManagerSession) -> NoReturn:
        last = None
        while True:
            now = cdi.stamp(), await self._prefixes()
            if now != last:
                last = now
                session.describe(await self._describe())
            await asyncio.sleep(HOST_CHECK_PERIOD)

    async def _watch_troubles(self, session: ManagerSession) -> NoReturn:
        while True:
            await self._troubles.changed.wait()
            self._troubles.changed.clear()
            session.describe(await self._describe())
            await asyncio.sleep(TROUBLES_PERIOD)

    async def _watch_images(self, session: ManagerSession) -> NoReturn:
        while True:
            async with asyncio.TaskGroup() as group:
                # The wait begins before the images are read, so that no change in between is lost.
                group.create_task(self._runtime.wait_images(), name="images changed")
                await asyncio.sleep(0)
                session.describe(await self._describe())
