"""Makes containers, and removes every trace of them: root file system, bundle, monitor, record, volumes."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog

from agent.runtime.bundle.bundle_builder import BundleBuilder
from agent.runtime.containers import conmon, container_record, recovery
from agent.runtime.containers.container_record import Record
from agent.runtime.containers.container_store import ContainerStore
from agent.runtime.containers.oci_command import OciCommand
from agent.runtime.containers.termination import Termination
from agent.runtime.execs.exec_cgroups import Subgroups
from agent.runtime.images.image_store import ImageStore
from agent.runtime.interface import ContainerPlan, ImageMissing, RuntimeFailure
from agent.runtime.logs import log_file
from agent.runtime.logs.log_file import LogPolicy
from agent.runtime.volumes.local_volumes import Volumes
from api.errors import ArgosyError
from kit import cgroups
from kit.directories import make_directory
from kit.files import replace_file
from kit.thread_pool import ThreadPool
from kit.timing import Clock

MOST_STARTS = 8
"""Containers made at a time; more is slower."""
PROCESS = "process.json"
"""In a container's directory: its OCI `process`, which commands that are run in it later are like."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ContainerMaker:
    """Makes and removes the containers of one host. `monitors` is the control group of the monitors."""

    store: ContainerStore
    command: OciCommand
    termination: Termination
    builder: BundleBuilder
    images: ImageStore
    volumes: Volumes
    subgroups: Subgroups
    workers: ThreadPool
    sockets: Path
    monitors: str
    usual_log: LogPolicy
    clock: Clock
    places: asyncio.Semaphore

    async def make(self, plan: ContainerPlan) -> None:
        """Make a container, not started; nothing is left of one that cannot be made. Raises RuntimeFailure."""
        try:
            async with self.places:
                await self._make(plan)
        except BaseException as error:
            if plan.id in self.store:
                await self.clear(plan.id)
            if isinstance(error, OSError | KeyError):
                raise RuntimeFailure(f"cannot make container {plan.name}: {error}") from error
            raise

    async def clear(self, id: str) -> None:
        """Kill a container and remove every trace of it."""
        record = self.store.get(id)
        if record.pid:
            await self.termination.kill(id)
        self.subgroups.forget(self.cgroup(record))
        if record.pid or self.command.knows(id):
            await self.command.delete(id)
        volumes = [use.name for use in self.store.get(id).volumes]
        await self._remove_files(id)
        self.store.discard(id)
        for name in volumes:
            try:
                await self.volumes.release(name)
            except (ArgosyError, OSError) as error:
                log.warning("a volume is not given back", volume=name, container=record.name, why=str(error))
        if record.pid:
            self.store.publish(record, "destroy")

    async def expel(self, id: str) -> None:
        """Remove a container that has no record."""
        log.error("a container without a readable record is removed", container=id)
        await recovery.end(id, self.store.root)
        if self.command.knows(id):
            await self.command.delete(id)
        await self._remove_files(id)

    def cgroup(self, record: Record) -> str:
        """A container's control group."""
        return self.builder.cgroup(record.spec.container_spec, record.id)

    async def _make(self, plan: ContainerPlan) -> None:
        directory = self.store.directory(plan.id)
        record = container_record.first(plan, self.clock())
        self.store.add(record)
        policy = log_file.policy(plan.spec.log_driver, self.usual_log)
        self._check_runtime(plan)
        if self.images.find(plan.image.id) is None:
            raise ImageMissing(f"image {record.image} is no longer on this host")
        make_directory(directory)
        self.store.save(plan.id)
        layers = self.images.layers(plan.image.id)
        await self.workers.run("mounting its root file system", self.builder.root, directory, layers)
        with ExitStack() as held:
            built = await self.builder.build(plan, directory, held)
            start = built.config["process"]
            made = await self._monitored(plan, directory, start, policy.brake if policy.keep else 0)
        self._set_apart(made.conmon)
        self.store.change(
            record,
            command=start["args"],
            env=start["env"],
            user=plan.spec.container_spec.user or plan.image.user,
            directory=start["cwd"],
            mounts=[made_mount.mount for made_mount in built.mounts],
            volumes=container_record.volume_uses(list(built.mounts)),
            pid=made.pid,
            pid_born=container_record.born(made.pid),
            conmon=made.conmon,
            conmon_born=container_record.born(made.conmon),
        )
        self.store.publish(record, "create")

    async def _monitored(self, plan: ContainerPlan, directory: Path, start: Any, log_size: int) -> conmon.Monitored:
        """The container of a finished bundle, and its monitor."""
        replace_file(directory / PROCESS, msgspec.json.encode(start))
        spec, sockets = plan.spec.container_spec, self.sockets
        return await conmon.create(
            plan.id, directory, sockets, self.command.words, tty=spec.tty, stdin=spec.open_stdin, log_size=log_size
        )

    def _set_apart(self, conmon: int) -> None:
        """A monitor outlives us, so it is not under our memory limit, and does not go with us when we are over it."""
        try:
            cgroups.add_process(conmon, self.monitors)
        except OSError as error:
            log.debug("a container's monitor stays in the daemon's control group", reason=str(error))

    def _check_runtime(self, plan: ContainerPlan) -> None:
        wanted, name = plan.spec.container_spec.host_config, self.command.name
        if wanted and wanted.runtime and wanted.runtime not in (name, f"io.containerd.{name}.v2"):
            raise RuntimeFailure(f"this host runs containers with {name}, not with {wanted.runtime!r}")

    async def _remove_files(self, id: str) -> None:
        await self.workers.run("deleting its files", self.builder.clear, self.store.directory(id))
        for path in self.sockets.glob(f"{id}*"):
            path.unlink(missing_ok=True)
