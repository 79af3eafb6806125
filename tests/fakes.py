"""In-process fakes of the agent's interfaces: Runtime, Networks, Connector.

FakeRuntime and FakeNetworks outlive the agents that use them, as a host does: a restarted agent finds what it made.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec

from agent.runtime.interface import Container, ContainerPlan, Exit, Image, ImageMissing, Output, RuntimeFailure
from agent.session.interface import HelloRefused, SessionLost
from api.errors import NotFound, Unavailable
from api.service.host_config import Hook
from api.service.ports import PortConfig
from api.wire.host_messages import LogLine
from api.wire.session_messages import Accepted, AgentMessage, Assignments, Hello, ManagerMessage, SessionInfo, Statuses
from overlay.interface import NetworkFailure, NetworkView, Sandbox


async def _hook_done(_id: str, _hook: Hook) -> Output:
    return Output(0, b"")


class FakeRuntime:
    """Containers and images in memory. Everything done is in `calls`, as (verb, container id)."""

    def __init__(self, clock: Callable[[], float] = lambda: 1000.0) -> None:
        self.store: dict[str, Image] = {}
        self.pullable: dict[str, Image] = {}
        self.pull_delay = 0.0
        self.create_delay = 0.0
        self.outages = 0
        """So many times no image can be had."""
        self.list_failure: RuntimeFailure | None = None
        """What a list of the images is answered with."""
        self.all: dict[str, Container] = {}
        self.plans: dict[str, ContainerPlan] = {}
        self.calls: list[tuple[str, str]] = []
        self.failures: dict[tuple[str, str], RuntimeFailure] = {}
        """(verb, container name) → what it raises."""
        self.stubborn: set[str] = set()
        """Names of containers that only a kill ends."""
        self.hook: Callable[[str, Hook], Awaitable[Output]] = _hook_done
        self.probe: Callable[[str], Output] = lambda _: Output(0, b"")
        self.creating = 0
        self.most_creating = 0
        self.peers_asked: list[tuple[str, ...]] = []
        self._clock = clock
        self._pids = 100
        self._ended: dict[str, asyncio.Event] = {}
        self._images_changed = asyncio.Event()

    def add_image(self, name: str, image: Image | None = None) -> Image:
        """Have an image."""
        image = self.store[name] = image or Image(id=f"sha256:{name}", names=(name,), digests=())
        self._images_changed.set()
        return image

    def end(self, id: str, code: int = 0, oom: bool = False) -> None:
        """The container's process ends by itself."""
        self.all[id] = replace(self.all[id], exit=Exit(code, oom, self._clock()))
        self._ended[id].set()

    def verbs(self, id: str) -> list[str]:
        """What was done to a container, in order."""
        return [verb for verb, target in self.calls if target == id]

    async def image(self, reference: str, peers: Sequence[str], policy: str = "", login: bytes = b"") -> Image:
        self.peers_asked.append(tuple(peers))
        if self.outages:
            self.outages -= 1
            raise Unavailable("the registry does not answer")
        if reference in self.store:
            return self.store[reference]
        await asyncio.sleep(self.pull_delay)
        if reference not in self.pullable:
            raise ImageMissing(f"no such image: {reference}: not here, and no registry has it")
        return self.add_image(reference, self.pullable[reference])

    async def create(self, plan: ContainerPlan) -> None:
        self.calls.append(("create", plan.id))
        self.creating += 1
        self.most_creating = max(self.most_creating, self.creating)
        try:
            await asyncio.sleep(self.create_delay)
        finally:
            self.creating -= 1
        self._fail("create", plan.name)
        self.plans[plan.id] = plan
        self._ended.setdefault(plan.id, asyncio.Event())
        self.all.setdefault(
            plan.id,
            Container(
                id=plan.id,
                name=plan.name,
                task_id=plan.task_id,
                image=plan.spec.container_spec.image,
                image_id=plan.image.id,
                created=self._clock(),
                started=0.0,
                pid=0,
                exit=None,
                labels=plan.labels,
            ),
        )

    async def start(self, id: str) -> int:
        self.calls.append(("start", id))
        self._fail("start", self.all[id].name)
        self._pids += 1
        self.all[id] = replace(self.all[id], pid=self._pids, started=self._clock())
        return self._pids

    async def wait(self, id: str) -> Exit:
        await self._ended[id].wait()
        if id not in self.all:
            raise NotFound(f"no such container: {id}")
        exit = self.all[id].exit
        assert exit
        return exit

    async def stop(self, id: str, signal: str, grace: float) -> None:
        self.calls.append(("stop", id))
        if id not in self.all:
            raise NotFound(f"no such container: {id}")
        self._fail("stop", self.all[id].name)
        if signal == "SIGNONSENSE":
            raise RuntimeFailure("no such signal: SIGNONSENSE")
        if self.all[id].exit:
            return None
        if self.all[id].name in self.stubborn:
            await asyncio.sleep(grace)
            return self.end(id, 137)
        await asyncio.sleep(0.01)
        if not self.all[id].exit:
            self.end(id, 143)
        return None

    async def remove(self, id: str) -> None:
        self.calls.append(("remove", id))
        self.plans.pop(id, None)
        if self.all.pop(id, None):
            self._ended.pop(id).set()

    async def exec(self, id: str, command: Sequence[str], timeout: float, hook: Hook | None = None) -> Output:
        self.calls.append(("exec", id))
        if hook:
            return await self.hook(id, hook)
        return self.probe(id)

    async def logs(
        self, id: str, *, follow: bool, since: float, tail: int, stdout: bool, stderr: bool
    ) -> AsyncIterator[list[LogLine]]:
        if id not in self.all:
            raise NotFound(f"no such container: {id}")
        yield [LogLine(1.0, "stdout", b"hello\n")]

    async def containers(self) -> list[Container]:
        return list(self.all.values())

    async def images(self) -> list[Image]:
        if self.list_failure:
            raise self.list_failure
        return list(self.store.values())

    async def wait_images(self) -> None:
        self._images_changed.clear()
        await self._images_changed.wait()

    async def export(self, reference: str) -> AsyncIterator[bytes]:
        if reference not in {image.id for image in self.store.values()}:
            raise NotFound(f"no such image: {reference}")
        for _ in range(3):
            yield b"x" * 700_000

    def _fail(self, verb: str, name: str) -> None:
        if error := self.failures.pop((verb, name), None):
            raise error


class FakeNetworks:
    """Sandboxes in memory. Network ids are ready once a view has them."""

    def __init__(self) -> None:
        self.view = NetworkView()
        self.updates = 0
        self.open_sandboxes: dict[str, Sandbox] = {}
        self.served: set[str] = set()
        """Sandboxes whose names are answered by the running agent."""
        self.calls: list[tuple[str, str]] = []
        self.failures: dict[str, NetworkFailure] = {}
        """Task name → what opening its sandbox raises."""
        self.started = False
        self.start_failures: list[NetworkFailure] = []
        """What starting raises, one time each."""
        self.host_prefixes: tuple[str, ...] = ()
        self.routing = asyncio.Event()
        """Cleared: what is wanted does not come into force."""
        self.routing.set()
        self._poke = asyncio.Event()

    async def start(self) -> None:
        if self.start_failures:
            raise self.start_failures.pop()
        self.started = True

    def update(self, view: NetworkView) -> None:
        self.view = view
        self.updates += 1
        self._poke.set()

    async def ready(self, network_ids: tuple[str, ...]) -> None:
        while not set(network_ids) <= set(self.view.networks):
            self._poke.clear()
            await self._poke.wait()

    async def routed(self) -> None:
        await self.routing.wait()

    async def open(self, sandbox: Sandbox) -> str:
        self.calls.append(("open", sandbox.id))
        if error := self.failures.pop(sandbox.task_name, None):
            raise error
        self.open_sandboxes[sandbox.id] = sandbox
        self.served.add(sandbox.id)
        return f"/run/netns/{sandbox.id}"

    async def close(self, id: str) -> None:
        self.calls.append(("close", id))
        self.open_sandboxes.pop(id, None)
        self.served.discard(id)

    def addresses(self, id: str) -> Mapping[str, str]:
        return {i.network_id: i.address for i in self.open_sandboxes[id].interfaces}

    def host_ports(self, id: str) -> tuple[PortConfig, ...]:
        return tuple(
            msgspec.structs.replace(port, published_port=port.published_port or 32768)
            for port in self.open_sandboxes[id].host_ports
        )

    async def prefixes(self) -> tuple[str, ...]:
        return self.host_prefixes

    async def stop(self) -> None:
        self.started = False
        self.served.clear()

    async def remove_all(self) -> None:
        self.open_sandboxes.clear()


class FakeConnection:
    """Both ends of one stream: `send`/`receive` are the agent's, the rest the manager's."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._up: asyncio.Queue[AgentMessage] = asyncio.Queue()
        self._down: asyncio.Queue[ManagerMessage | None] = asyncio.Queue()
        self._lost = asyncio.Event()
        self._refusal = ""
        self._number = 0

    async def send(self, message: AgentMessage) -> None:
        if self._lost.is_set():
            raise SessionLost("the stream is broken")
        self._up.put_nowait(message)

    async def receive(self) -> ManagerMessage:
        message = await self._down.get()
        if message is None:
            raise HelloRefused(self._refusal) if self._refusal else SessionLost("the stream ended")
        return message

    async def heard(self) -> AgentMessage:
        """The agent's next message."""
        return await self._up.get()

    def say(self, message: ManagerMessage) -> None:
        """Answer the agent."""
        self._down.put_nowait(message)

    def assign(self, *, full: bool = False, put: Sequence[Any] = (), remove: Sequence[Any] = ()) -> None:
        """The next Assignments, with its number."""
        self._number += 1
        self.say(Assignments(self._number, full, list(put), list(remove)))

    def refuse(self, why: str) -> None:
        """The manager does not take what the agent says."""
        self._refusal = why
        self.break_off()

    def break_off(self) -> None:
        """The stream is lost."""
        self._lost.set()
        self._down.put_nowait(None)


class FakeConnector:
    """A Connector whose manager is the test: `accept` gives the next connection."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[FakeConnection] = asyncio.Queue()
        self.down: set[str] = set()
        """Addresses that do not answer."""
        self.tried: list[str] = []

    @asynccontextmanager
    async def connect(self, address: str, node_id: str = "") -> AsyncIterator[FakeConnection]:
        self.tried.append(address)
        if address in self.down:
            raise SessionLost(f"{address} does not answer")
        connection = FakeConnection(address)
        self._waiting.put_nowait(connection)
        try:
            yield connection
        finally:
            connection.break_off()

    async def accept(self) -> FakeConnection:
        """The next connection an agent begins."""
        return await self._waiting.get()


class FakeManager:
    """A manager that welcomes, accepts every status, and keeps what it heard."""

    def __init__(self, connector: FakeConnector, managers: Sequence[str] = ("m1:7946",), period: float = 2.0) -> None:
        self.connector = connector
        self.managers = list(managers)
        self.period = period
        self.heard: list[AgentMessage] = []
        self.statuses: dict[str, list[Any]] = {}
        self.connection: FakeConnection | None = None
        self.accepting = True
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Serve one connection after the other."""
        while True:
            connection = await self.connector.accept()
            self.heard.append(await connection.heard())
            connection.say(SessionInfo(self.period, self.managers))
            self.connection = connection
            self._news.set()
            await self._serve(connection)

    async def _serve(self, connection: FakeConnection) -> None:
        while True:
            waiting = [asyncio.ensure_future(connection.heard()), asyncio.ensure_future(connection._lost.wait())]
            done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            if waiting[0] not in done:
                self.connection = None
                self._news.set()
                return
            self._take(connection, waiting[0].result())  # type: ignore[arg-type]

    def _take(self, connection: FakeConnection, message: AgentMessage) -> None:
        self.heard.append(message)
        if isinstance(message, Statuses):
            for task_id, status in message.statuses.items():
                self.statuses.setdefault(task_id, []).append(status)
            if self.accepting:
                connection.say(Accepted(message.number))
        self._news.set()

    async def talking(self) -> FakeConnection:
        """The connection, once there is one."""
        await self.until(lambda: self.connection is not None)
        assert self.connection
        return self.connection

    async def until(self, condition: Callable[[], bool], deadline: float = 120.0) -> None:
        """Until news from the agent made the condition true."""
        async with asyncio.timeout(deadline):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def hellos(self) -> list[Hello]:
        """Every hello heard."""
        return [message for message in self.heard if isinstance(message, Hello)]

    def state(self, task_id: str) -> str:
        """A task's newest state, "" when nothing was heard of it."""
        told = self.statuses.get(task_id)
        return told[-1].state.value if told else ""
