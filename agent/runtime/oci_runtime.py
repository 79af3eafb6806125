"""The runtime behind the port: conmon and crun (or runc), overlay root filesystems, no daemon in between.

This file wires the rooms: containers/ knows the records and ends containers, container_maker.py makes and removes them,
images/, volumes/ and execs/ do what their names say.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec

from agent.runtime import host_features
from agent.runtime.bundle import bundle_builder
from agent.runtime.bundle.bundle_builder import BundleBuilder
from agent.runtime.container_maker import MOST_STARTS, PROCESS, ContainerMaker
from agent.runtime.containers import conmon, recovery
from agent.runtime.containers.container_record import Record
from agent.runtime.containers.container_store import ContainerStore
from agent.runtime.containers.oci_command import PATIENCE, OciCommand
from agent.runtime.containers.termination import Termination
from agent.runtime.execs.bounded_exec import run_in
from agent.runtime.execs.exec_cgroups import Subgroups
from agent.runtime.execs.execs import Exec, Execs
from agent.runtime.images.image_store import ImageStore
from agent.runtime.images.peer_source import PeerSource
from agent.runtime.interface import Container, ContainerPlan, Exit, Image, Output, RuntimeFailure
from agent.runtime.logs import log_file
from agent.runtime.logs.log_format import Selection
from agent.runtime.oci.container_defaults import ContainerDefaults
from agent.runtime.runtime_events import RuntimeEvents
from agent.runtime.volumes.local_volumes import Volumes
from api.service.host_config import Hook
from api.wire.host_messages import LogLine
from kit import cgroups
from kit.directories import make_directory
from kit.keyed import KeyedLocks
from kit.reported_once import ReportedOnce, isolated
from kit.streams import closable
from kit.thread_pool import ThreadPool
from kit.timing import Clock

ROTATION = 0.5
"""Seconds between looks at the logs' sizes."""
MOST_CALLS = 16
"""Calls into the kernel for containers' file systems that may be under way, or hang, at a time; each for PATIENCE."""


class OciRuntime:
    """Containers below `data_root`, run state below `exec_root`. Implements `Runtime`; `run()` must run beside it."""

    def __init__(
        self,
        data_root: Path,
        exec_root: Path,
        peers: PeerSource | None,
        clock: Clock,
        *,
        rng: random.Random | None = None,
        cgroup_parent: str = "/argosy",
        auth_file: Path | None = None,
        usual: ContainerDefaults | None = None,
    ) -> None:
        mode = host_features.own_cgroup_mode()
        self.cgroup_mode = mode
        self._usual = usual or ContainerDefaults()
        self._command = OciCommand(host_features.choose_runtime(mode), exec_root / "oci")
        self._sockets = exec_root / "conmon"
        self._clock = clock
        containers, volumes, images = (data_root / name for name in ("containers", "volumes", "storage"))
        # What lies in them is the containers' own users', who have the host's numbers; setuid programs too.
        for path in (self._command.state, self._sockets, containers, volumes, images):
            make_directory(path)
        self.journal = RuntimeEvents(clock)
        self._store = ContainerStore(containers, self.journal, clock)
        for record in self._store.all():
            bundle_builder.close_to_others(self._store.directory(record.id))
        self._termination = Termination(self._store)
        self.volumes = Volumes(volumes, clock)
        self.volumes.in_use = self._store.users_of_volume
        self.volumes.on_event = lambda action, name: self.journal.publish("volume", action, name, {"driver": "local"})
        self.image_store = ImageStore(images, exec_root / "storage", peers, rng or random.Random(), auth_file)
        self.image_store.in_use = self._store.users_of_image
        self.image_store.on_event = lambda action, id, name: self.journal.publish(
            "image", action, id, {"name": name or id}
        )
        self._subgroups = Subgroups(mode, self._command.is_crun)
        self._maker = self._container_maker(f"{cgroup_parent.strip('/')}/monitors", cgroup_parent)
        self.execs = Execs(self._command.binary, self._command.state, self._sockets, self._exec_shape)
        self.execs.on_event = self._publish_exec
        self._locks = KeyedLocks()

    def _container_maker(self, monitors: str, cgroup_parent: str) -> ContainerMaker:
        workers = ThreadPool("containers", MOST_CALLS, PATIENCE)
        limits = host_features.host_limits(self.cgroup_mode, self._usual.pids_limit)
        return ContainerMaker(
            store=self._store,
            command=self._command,
            termination=self._termination,
            builder=BundleBuilder(self.volumes, limits, cgroup_parent, self._command.is_crun, workers),
            images=self.image_store,
            volumes=self.volumes,
            subgroups=self._subgroups,
            workers=workers,
            sockets=self._sockets,
            monitors=monitors,
            usual_log=self._usual.log,
            clock=self._clock,
            places=asyncio.Semaphore(MOST_STARTS),
        )

    @property
    def name(self) -> str:
        """crun or runc."""
        return self._command.name

    @property
    def usual(self) -> ContainerDefaults:
        """What a container gets whose spec does not say."""
        return self._usual

    async def run(self) -> None:
        """Clean up after a crash, then rotate logs for ever."""
        reported = ReportedOnce()
        await self._recover(reported)
        while True:
            for record in self._store.all():
                if record.pid:
                    with isolated(reported, "a container's log was not rotated", record.id):
                        self._rotate(record)
            self._forget_monitors()
            await asyncio.sleep(ROTATION)

    async def _recover(self, reported: ReportedOnce) -> None:
        """Remove what a crash left: containers without a record, half made ones, and what ran beside the others."""
        for id in recovery.strays(self._store.root, self._command.state, {record.id for record in self._store.all()}):
            with isolated(reported, "a container that nobody knows was not removed", id):
                await self._maker.expel(id)
        for id in [record.id for record in self._store.all() if not record.pid]:
            with isolated(reported, "a container that was half made was not removed", id):
                await self.remove(id)
        for record in self._store.all():
            with isolated(reported, "what ran beside a container was not ended", record.id):
                for group in self._subgroups.left(self._maker.cgroup(record)):
                    await group.kill()
                    group.remove()

    def _rotate(self, record: Record) -> None:
        policy = log_file.policy(record.spec.log_driver, self._usual.log)
        log_file.rotate(self._store.directory(record.id), policy)

    def _forget_monitors(self) -> None:
        if not self._store:
            cgroups.remove(self._maker.monitors)

    # ── images ──

    async def image(self, reference: str, peers: Sequence[str], policy: str = "", login: bytes = b"") -> Image:
        """See Runtime."""
        return await self.image_store.image(reference, peers, policy, login)

    async def images(self) -> list[Image]:
        """See Runtime."""
        return self.image_store.all()

    async def wait_images(self) -> None:
        """See Runtime."""
        await self.image_store.wait()

    async def export(self, reference: str) -> AsyncIterator[bytes]:
        """See Runtime."""
        async with aclosing(closable(self.image_store.give(reference))) as chunks:
            async for chunk in chunks:
                yield chunk

    # ── containers ──

    async def containers(self) -> list[Container]:
        """See Runtime. Those whose making was cut short are not among them; `run` removes them."""
        return [self._store.settled(record.id).view() for record in self._store.all() if record.pid]

    def inspect(self, id: str) -> Record:
        """All that is stored of a container. Raises NotFound."""
        return self._store.settled(id)

    async def create(self, plan: ContainerPlan) -> None:
        """See Runtime."""
        async with self._locks(plan.id):
            record = self._store.find(plan.id)
            if record and record.pid:
                return
            if record:
                await self._maker.clear(plan.id)
            await self._maker.make(plan)

    async def start(self, id: str) -> int:
        """See Runtime."""
        async with self._locks(id):
            record = self._store.settled(id)
            if record.started:
                if record.ended:
                    raise RuntimeFailure(f"container {record.name} has ended already")
                return record.pid
            if record.ended:
                raise RuntimeFailure(f"container {record.name} ended before it was started")
            if not (self._command.is_crun and conmon.open_gate(self._command.start_gate(id))):
                result = await self._command.run("start", id)
                if not result.ok:
                    raise RuntimeFailure(f"cannot start container {record.name}: {result.complaint}")
            self._store.publish(self._store.change(record, started=self._clock()), "start")
            return record.pid

    async def wait(self, id: str) -> Exit:
        """See Runtime. Raises NotFound."""
        return await self._termination.wait(id)

    async def stop(self, id: str, signal: str, grace: float) -> None:
        """See Runtime. Raises NotFound, and RuntimeFailure for a signal that does not exist."""
        await self._termination.stop(id, signal, grace)

    def kill(self, id: str, signal: str) -> None:
        """Send a running container's first process a signal ("" for SIGKILL).

        Raises NotFound, Conflict when it does not run, and RuntimeFailure for a signal that does not exist.
        """
        self._termination.signal(id, signal)

    async def remove(self, id: str) -> None:
        """See Runtime."""
        async with self._locks(id):
            if id in self._store:
                await self._maker.clear(id)
        self._forget_monitors()

    async def exec(self, id: str, command: Sequence[str], timeout: float, hook: Hook | None = None) -> Output:
        """See Runtime. Raises Conflict when it does not run."""
        shape = self._exec_shape(id, hook) | {"args": list(command)}
        with self._subgroups.one(self._maker.cgroup(self._store.get(id))) as group:
            binary, state = self._command.binary, self._command.state
            return await run_in(binary, state, self._sockets, id, shape, timeout, group)

    def _exec_shape(self, id: str, hook: Hook | None) -> dict[str, Any]:
        """The OCI `process` of a further command in a container. Raises NotFound, Conflict, RuntimeFailure."""
        directory = self._store.directory(self._store.running(id).id)
        shape: dict[str, Any] = msgspec.json.decode((directory / PROCESS).read_bytes())
        if hook is None:
            return shape
        return self._maker.builder.hook_shape(shape, hook, directory) | {"args": hook.command}

    async def logs(
        self,
        id: str,
        *,
        follow: bool,
        since: float,
        tail: int,
        stdout: bool,
        stderr: bool,
        until: float = 0.0,
        to_exit: bool = False,
    ) -> AsyncIterator[list[LogLine]]:
        """See Runtime. With `to_exit` following ends when the container does, as `docker logs -f` has it."""
        self._store.get(id)

        def over() -> bool:
            return id not in self._store or (to_exit and bool(self._store.settled(id).ended))

        wanted = Selection(since, until, stdout, stderr)
        async with aclosing(closable(log_file.read(self._store.directory(id), wanted, tail, follow, over))) as batches:
            async for batch in batches:
                yield batch

    # ── events ──

    def publish_health(self, id: str, state: str) -> None:
        """Into the journal: a container's health is another now. The agent knows it, not the runtime."""
        if record := self._store.find(id):
            self._store.publish(record, f"health_status: {state}")

    def _publish_exec(self, exec: Exec, action: str) -> None:
        if record := self._store.find(exec.container):
            self._store.publish(record, exec.event(action), **exec.attributes())
