"""The agent: puts the parts together and runs them as one group. Crash-only: what breaks it ends it.

managers ⇄ connector ⇄ session ⇄ worker → runner (task.step) → runtime, networks
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
from agent.session.known_managers import Managers
from agent.session.session import Session
from agent.session.status_reporter import Reporter
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
"""Seconds between two descriptions for the sake of what does not work."""
LOOK_PERIOD = 5.0
"""Seconds between two looks whether the CDI files or the host's addresses and routes have changed."""

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
        told_health: Callable[[str, str], None] = lambda *_: None,
        troubles: Troubles | None = None,
    ) -> None:
        """`told_health` is told of a container whose health has changed, and what it is now. `troubles` are those of
        the host's other parts too; the managers are told of all of them.
        """
        self._troubles = troubles or Troubles()
        self._config = config
        self._runtime = runtime
        self._networks = networks
        self._connector = connector
        self._clock = clock
        self._rng = rng or random.Random()
        self._told_health = told_health
        self._checkpoint = Checkpoint(config.directory, self._troubles)
        self._managers = Managers(config.directory / "managers.json", config.managers, self._rng)
        self._worker: Worker | None = None
        self._held: list[Assignments] = []
        self._up = asyncio.Event()
        self._session: Session | None = None
        self._last_prefixes: tuple[str, ...] = ()
        self.callers = Callers(lambda: self._checkpoint.assignments.members())
        """Who may ask this host for something."""

    async def run(self) -> NoReturn:
        """Until cancelled. Containers, networks and names are left as they are, for the next agent to take over."""
        self._worker, self._held = None, []
        self._up.clear()
        self._checkpoint.load()
        reporter = Reporter()
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
            told_health=self._told_health,
            troubles=self._troubles,
        )
        session = self._session = Session(
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
        """Take over what a former agent left: first the networks, then the tasks on them. Tried until it works; the
        managers hear of the host meanwhile, and of what it lacks.
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
        """The host has another address now; if it is a manager it is to be found there."""
        self._managers.relocate(old, new)

    def find(self, notice: ManagersNotice) -> None:
        """A manager called: that is where they are now."""
        self._managers.update(notice.managers, notice.ids)
        if self._session is not None:
            self._session.hurry()

    def health(self, task_id: str) -> Health:
        """A task's health, for those who show containers."""
        return self._worker.health(task_id) if self._worker else Health()

    def network_name(self, id: str) -> str:
        """The name of a network this host takes part in; the id itself for any other."""
        network = self._checkpoint.assignments.network(id)
        return network.name if network else id

    def networks(self) -> list[NetworkAssignment]:
        """The networks this host takes part in."""
        return list(self._checkpoint.assignments.view().networks.values())

    async def farewell(self) -> None:
        """Tell the managers that this node leaves, so that they need not wait for its lease to run out."""
        if self._session:
            await self._session.farewell()

    async def leave(self) -> None:
        """Remove every container, network and file of the agent's (the node leaves the cluster). Not while it runs."""
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
        self.callers.look()

    async def _describe(self) -> NodeDescription:
        try:
            images = await self._runtime.images()
            self._troubles.resolve("list of images")
        except (ArgosyError, OSError) as error:
            images = []
            self._troubles.report("list of images", error_sentence(error))
        return describe_host(self._config, images, self._troubles.sentences(), await self._prefixes())

    async def _prefixes(self) -> tuple[str, ...]:
        """What the host uses of the address space; as last known, when that cannot be read."""
        try:
            self._last_prefixes = await self._networks.prefixes()
            self._troubles.resolve("addresses and routes")
        except (ArgosyError, OSError) as error:
            self._troubles.report("addresses and routes", error_sentence(error))
        return self._last_prefixes

    async def _watch_host(self, session: Session) -> NoReturn:
        last = None
        while True:
            now = cdi.stamp(), await self._prefixes()
            if now != last:
                last = now
                session.describe(await self._describe())
            await asyncio.sleep(LOOK_PERIOD)

    async def _watch_troubles(self, session: Session) -> NoReturn:
        while True:
            await self._troubles.changed.wait()
            self._troubles.changed.clear()
            session.describe(await self._describe())
            await asyncio.sleep(TROUBLES_PERIOD)

    async def _watch_images(self, session: Session) -> NoReturn:
        while True:
            async with asyncio.TaskGroup() as group:
                # Waiting starts before looking, so that nothing falls between the two.
                group.create_task(self._runtime.wait_images(), name="images changed")
                await asyncio.sleep(0)
                session.describe(await self._describe())
