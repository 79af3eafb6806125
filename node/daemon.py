"""argosyd, from its start to SIGTERM, whether the host is in a cluster or not."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from functools import partial
from pathlib import Path

import structlog

from agent.http.host_events import HostEvents
from agent.http.host_routes import routes as host_routes
from agent.runtime.containers.socket_binds import SocketBinds
from agent.runtime.images.peer_source import GrpcPeers
from agent.runtime.oci_runtime import OciRuntime
from api.errors import Unavailable
from api.version import release
from api.wire.rpc import Credentials
from kit import cgroups
from kit.background import Background
from kit.directories import OWNERS, PASSABLE, make_directory
from kit.supervisor import supervise
from kit.timing import Clock, backoff
from kit.troubles import Troubles
from manager.http.cluster_routes import routes as cluster_routes
from node.http.api_socket import ApiSocket, restrict
from node.http.docker_socket import DockerSocket
from node.http.node_context import NodeContext
from node.http.node_routes import NodeRoutes, cluster_of
from node.membership.certificate_renewal import Renewal
from node.membership.factory import NodeFactory
from node.membership.identity import IdentityFiles
from node.membership.membership import HostMembership
from node.settings import Settings

log = structlog.get_logger(__name__)


class Daemon:
    """One argosyd."""

    def __init__(self, settings: Settings, clock: Clock, rng: random.Random) -> None:
        self._settings = settings
        self._files = IdentityFiles(settings.node_directory)
        self._rng = rng
        make_directory(settings.data_root, OWNERS)
        make_directory(settings.exec_root, PASSABLE)  # the group's members reach the socket through it
        peers = GrpcPeers(self._credentials)
        self._runtime = OciRuntime(settings.data_root, settings.exec_root, peers, clock, rng=rng, usual=settings.usual)
        self._troubles = Troubles()
        factory = NodeFactory(settings, self._runtime, clock, rng, self._troubles, lambda: routes)
        self.swarm = HostMembership(settings, factory, clock, rng, self._troubles)
        self._renewal = Renewal(self.swarm, self._files, clock, rng)
        context = NodeContext(settings, self.swarm, self._runtime, clock)
        routes = [
            *NodeRoutes(self.swarm, context.info).routes(),
            *cluster_routes(
                lambda: cluster_of(self.swarm),
                host_events=HostEvents(self._runtime.journal),
                host_networks=context.network_answers,
            ),
            *host_routes(lambda: context),
        ]
        self._socket = ApiSocket(routes, settings.sockets)

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT. Containers go on running afterwards."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        works = (
            ("runtime", self._runtime.run),
            ("certificate renewal", self._renewal.run),
            ("membership", self.swarm.run),
            ("bound sockets", SocketBinds(self._runtime, self._settings.all_sockets).run),
        )
        troubles, delays = self._troubles, partial(backoff, self._rng)
        with PidFile(self._settings.pid_path):
            async with Background() as background:
                for name, work in works:
                    background.start(supervise(work, name, troubles, delays), name)
                try:
                    self._bound_memory()
                    log.info("argosyd starts", version=release(), data_root=str(self._settings.data_root))
                    await self.swarm.resume()
                    await self._socket.start()
                    if path := self._settings.docker_socket:
                        work = DockerSocket(path, self._socket.serve, restrict).run
                        background.start(supervise(work, "Docker's socket", troubles, delays), "Docker's socket")
                    await ended.wait()
                finally:
                    log.info("argosyd stops; containers go on running")
                    await self._socket.stop()
                    await self.swarm.stop()

    def _bound_memory(self) -> None:
        """Limit this process's memory by a control group, if `--memory-limit` asks for it. Raises Unavailable."""
        if self._settings.memory:
            try:
                cgroups.add_process(os.getpid(), f"argosy/argosyd-{os.getpid()}", self._settings.memory)
            except OSError as error:
                raise Unavailable(f"--memory-limit cannot be kept on this host: {error}") from None

    def _credentials(self) -> Credentials:
        if (identity := self.swarm.identity) is None:
            raise Unavailable("this host is in no cluster, so there are no peers to fetch images from")
        return identity.credentials


class PidFile:
    """The daemon's process id, while it runs. Raises Unavailable when another daemon holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        other = self._holder()
        if other and other != os.getpid():
            raise Unavailable(f"argosyd runs already as process {other} (pid file {self._path})")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(f"{os.getpid()}\n")

    def __exit__(self, *exception: object) -> None:
        self._path.unlink(missing_ok=True)

    def _holder(self) -> int:
        """The process id of the running argosyd in the file; 0 for none, or if another program has that id now."""
        try:
            pid = int(self._path.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return 0
        return pid if b"argosyd" in command or b"node.main" in command else 0
