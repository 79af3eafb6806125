"""The components of a node: the gRPC port, the agent, and on managers the manager.

Made for one identity, started and stopped together. The agent never waits for the manager: a manager that cannot start
(no majority) is retried while containers run on.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol

import structlog

from agent.main import Agent
from api.errors import ArgosyError, Unavailable
from api.wire.join_messages import MemberAnswer
from api.wire.rpc import Credentials
from api.wire.session_messages import ManagerMessage
from kit.supervisor import stop, supervise
from kit.timing import backoff
from kit.troubles import Troubles
from manager.main import Manager
from manager.store.interface import Put
from node.membership.grpc_server import HostServer
from node.membership.identity import Identity
from overlay.host_networks import HostNetworks

log = structlog.get_logger(__name__)


Join = Callable[[], Awaitable[MemberAnswer | None]]
Credentialed = Callable[[], Credentials]
"""Returns the present credentials; they change on renewal."""


class Listener(Protocol):
    """Receives what managers send to the agent (node/membership/membership.py)."""

    def heard(self, message: ManagerMessage) -> None:
        """A manager sent a message."""
        ...

    def refused(self) -> None:
        """A manager said that this node is not part of the cluster."""
        ...


class Factory(Protocol):
    """Makes the components of a node (node/membership/factory.py)."""

    def networks(self, identity: Identity) -> HostNetworks:
        """The host's networks, not started."""
        ...

    def agent(self, identity: Identity, networks: HostNetworks, own: Credentialed, listener: Listener) -> Agent:
        """The agent."""
        ...

    def manager(self, identity: Identity, own: Credentialed) -> Manager:
        """A manager, not started."""
        ...

    def host_server(self, identity: Callable[[], Identity], dispatcher: Callable[[], Any], agent: Agent) -> HostServer:
        """The gRPC port, not started."""
        ...

    def listen(self) -> tuple[str, int]:
        """Where the gRPC port listens."""
        ...


class NodeComponents:
    """What runs on a node, all under one identity."""

    def __init__(
        self, identity: Identity, factory: Factory, listener: Listener, rng: random.Random, troubles: Troubles
    ) -> None:
        self.identity = identity
        self._factory = factory
        self._rng = rng
        self._troubles = troubles
        self._server: HostServer | None = None
        self.networks = factory.networks(identity)
        """The host's networks; the agent starts and stops them."""
        self.agent = factory.agent(identity, self.networks, self._credentials, listener)
        self._agent_task: list[asyncio.Task[Any]] = []
        self._manager_task: list[asyncio.Task[Any]] = []
        self.manager: Manager | None = None

    @property
    def is_started(self) -> bool:
        """Whether the host listens for others and runs the agent."""
        return bool(self._agent_task)

    @property
    def is_managing(self) -> bool:
        """Whether a manager serves, or is being started."""
        return self.manager is not None or bool(self._manager_task)

    @property
    def serving_manager(self) -> Manager | None:
        """The manager, once it serves."""
        return self.manager if self.manager is not None and self.manager.serving else None

    async def start(self) -> None:
        """Listen and run the agent. Raises Unavailable when the port is taken."""
        await self._listen()
        delays = partial(backoff, self._rng, first=0.5)
        work = supervise(self.agent.run, "agent", self._troubles, delays)
        self._agent_task = [asyncio.get_running_loop().create_task(work, name="agent")]

    async def start_manager(self, first: Sequence[Put] = (), joined: MemberAnswer | None = None) -> None:
        """Start the manager; returns when it serves. Raises the error that keeps it from starting."""
        manager = self._factory.manager(self.identity, self._credentials)
        self.manager = manager
        try:
            await manager.start(first, joined)
        except BaseException:
            await manager.stop()
            self.manager = None
            raise

    def resume_manager(self, join: Join) -> None:
        """Start the manager in the background, however long that takes.

        `join` returns the place of its etcd member if it has no database yet: a new database would be a second cluster.
        """
        self._manager_task = [asyncio.get_running_loop().create_task(self._resume(join), name="manager start")]

    async def stop(self, *, hurry: bool = False) -> None:
        """Stop everything; containers and networks stay as they are. `hurry`: do not wait for etcd."""
        await stop(self._manager_task)
        await stop(self._agent_task)
        if self.manager is not None:
            await self.manager.stop(hurry=hurry)
        if self._server is not None:
            await self._server.stop()

    async def leave(self) -> None:
        """Stop everything and remove what the node had: containers, networks, etcd's data."""
        await self.agent.farewell()
        await stop(self._manager_task)
        await stop(self._agent_task)
        try:
            await self.agent.leave()
        finally:
            if self.manager is not None:
                await self.manager.leave()
            if self._server is not None:
                await self._server.stop()

    async def stop_manager(self) -> None:
        """Remove the manager from the cluster's store and stop it: the node becomes a worker."""
        await stop(self._manager_task)
        self._manager_task = []
        if self.manager is not None:
            await self.manager.leave()
            self.manager = None

    async def renew(self, identity: Identity) -> None:
        """Use a renewed certificate everywhere. Sessions at this host's port end and are opened again."""
        self.identity = identity
        if self.manager is not None:
            await self.manager.renew()
        if self._server is not None:
            await self._server.stop()
        await self._listen()

    def _credentials(self) -> Credentials:
        return self.identity.credentials

    def _dispatcher(self) -> Any:
        return self.manager.dispatcher if self.manager is not None else None

    async def _listen(self) -> None:
        server = self._factory.host_server(lambda: self.identity, self._dispatcher, self.agent)
        await server.start(*self._factory.listen())
        self._server = server

    async def _resume(self, join: Join) -> None:
        for delay in backoff(self._rng, first=0.5):
            try:
                await self.start_manager(joined=await join())
            except Unavailable as error:
                log.warning("the manager does not come up yet", reason=str(error))
            except ArgosyError as error:
                log.error("the manager does not come up", reason=str(error))
            except Exception:
                log.exception("the manager does not come up")
            else:
                return
            await asyncio.sleep(delay)
