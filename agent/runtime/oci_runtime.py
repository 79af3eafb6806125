"""The runtime behind the port: conmon and crun (or runc), overlay root filesystems, no daemon in between.

Each container has a directory (builder.py) and a record in it (record.py); the records are all this object needs to
go on after a restart. Ends are learned from conmon's exit file once a pidfd says that conmon is gone.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal as signals_
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import Any

import msgspec
import structlog

from agent.runtime import host_features
from agent.runtime.bundle import bundle_builder
from agent.runtime.bundle.bundle_builder import Builder
from agent.runtime.containers import conmon, container_record, recovery, signal_delivery, signals
from agent.runtime.containers.container_record import Ended, Record
from agent.runtime.execs.bounded_exec import run_in
from agent.runtime.execs.exec_cgroups import Subgroups
from agent.runtime.execs.execs import Exec, Execs
from agent.runtime.images.image_store import ImageStore
from agent.runtime.images.peer_source import PeerSource
from agent.runtime.interface import Container, ContainerPlan, Exit, Image, ImageMissing, Output, RuntimeFailure
from agent.runtime.logs import log_file
from agent.runtime.logs.log_format import Selection
from agent.runtime.oci.container_defaults import Usual
from agent.runtime.runtime_events import Journal
from agent.runtime.volumes.local_volumes import Volumes
from api.errors import ArgosyError, Conflict, NotFound
from api.service.host_config import Hook
from api.wire.host_messages import LogLine
from kit import cgroups, process, twofold
from kit.directories import make_directory
from kit.files import replace_file
from kit.locks import Locks
from kit.reported_once import Said, apart
from kit.streams import closable
from kit.timing import Clock
from kit.workers import Workers

LOST = 255
"""Exit code of a container whose end nobody saw (the host went down): Docker's."""
MOST_STARTS = 8
"""Containers made at a time; more is slower."""
ROTATION = 0.5
"""Seconds between looks at the logs' sizes."""
MOST_CALLS = 16
"""Calls into the kernel for containers' file systems that may be under way, or hang, at a time."""
PATIENCE = 60.0
"""Seconds such a call may take, or one of the OCI runtime."""
_KILL_WAIT, _MOST_KILLS = 10.0, 6


log = structlog.get_logger(__name__)


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
        usual: Usual | None = None,
    ) -> None:
        mode = host_features.own_cgroup_mode()
        self.cgroup_mode = mode
        self._usual = usual or Usual()
        self._binary = host_features.choose_runtime(mode)
        self._is_crun = os.path.basename(self._binary) == "crun"
        self._state = exec_root / "oci"
        self._sockets = exec_root / "conmon"
        self._containers = data_root / "containers"
        self._clock = clock
        # What lies in them is the containers' own users', who have the host's numbers; setuid programs too.
        for path in (self._state, self._sockets, self._containers, data_root / "volumes", data_root / "storage"):
            make_directory(path)
        self.journal = Journal(clock)
        self.volumes = Volumes(data_root / "volumes", clock)
        self.volumes.in_use = self._volume_users
        self.volumes.told = lambda action, name: self.journal.tell("volume", action, name, {"driver": "local"})
        self.image_store = ImageStore(
            data_root / "storage", exec_root / "storage", peers, rng or random.Random(), auth_file
        )
        self.image_store.in_use = self._image_users
        self.image_store.told = lambda action, id, name: self.journal.tell("image", action, id, {"name": name or id})
        self._workers = Workers("containers", MOST_CALLS, PATIENCE)
        limits = host_features.host_limits(mode, self._usual.pids_limit)
        self._builder = Builder(self.volumes, limits, cgroup_parent, self._is_crun, self._workers)
        self._records: dict[str, Record] = {}
        self.execs = Execs(self._binary, self._state, self._sockets, self._exec_shape)
        self.execs.told = self._tell_exec
        self._subgroups = Subgroups(mode, self._is_crun)
        self._monitors = f"{cgroup_parent.strip('/')}/monitors"
        self._locks = Locks()
        self._starts = asyncio.Semaphore(MOST_STARTS)
        self._load()

    @property
    def name(self) -> str:
        """crun or runc."""
        return os.path.basename(self._binary)

    @property
    def usual(self) -> Usual:
        """What a container gets whose spec does not say."""
        return self._usual

    def _set_apart(self, conmon: int) -> None:
        """A monitor outlives us, so it is not under our memory limit, and does not go with us when we are over it."""
        try:
            cgroups.place(conmon, self._monitors)
        except OSError as error:
            log.debug("a container's monitor stays in the daemon's control group", reason=str(error))

    async def run(self) -> None:
        """Clean up after a crash, then rotate logs for ever."""
        said = Said()
        for id in recovery.strays(self._containers, self._state, self._records):
            with apart(said, "a container that nobody knows was not removed", id):
                await self._expel(id)
        for id in [id for id, kept in self._records.items() if not kept.pid]:
            with apart(said, "a container that was half made was not removed", id):
                await self.remove(id)
        for kept in list(self._records.values()):
            with apart(said, "what ran beside a container was not ended", kept.id):
                for group in self._subgroups.left(self._cgroup(kept)):
                    await group.kill()
                    group.remove()
        while True:
            for kept in list(self._records.values()):
                if not kept.pid:
                    continue
                with apart(said, "a container's log was not rotated", kept.id):
                    log_file.rotate(self._directory(kept.id), log_file.policy(kept.spec.log_driver, self._usual.log))
            if not self._records:
                cgroups.forget(self._monitors)
            await asyncio.sleep(ROTATION)

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
        return [self._settled(kept.id).view() for kept in list(self._records.values()) if kept.pid]

    def inspect(self, id: str) -> Record:
        """All that is kept of a container. Raises NotFound."""
        self._get(id)
        return self._settled(id)

    async def create(self, plan: ContainerPlan) -> None:
        """See Runtime."""
        async with self._locks(plan.id):
            kept = self._records.get(plan.id)
            if kept and kept.pid:
                return
            if kept:
                await self._clear(plan.id)
            try:
                async with self._starts:
                    await self._make(plan)
            except BaseException as error:
                if plan.id in self._records:
                    await self._clear(plan.id)
                if isinstance(error, OSError | KeyError):
                    raise RuntimeFailure(f"cannot make container {plan.name}: {error}") from error
                raise

    async def start(self, id: str) -> int:
        """See Runtime."""
        async with self._locks(id):
            kept = self._settled(id)
            if kept.started:
                if kept.ended:
                    raise RuntimeFailure(f"container {kept.name} has ended already")
                return kept.pid
            if kept.ended:
                raise RuntimeFailure(f"container {kept.name} ended before it was started")
            if not (self._is_crun and conmon.open_gate(self._state / id / "exec.fifo")):
                result = await self._oci("start", id)
                if not result.ok:
                    raise RuntimeFailure(f"cannot start container {kept.name}: {result.complaint}")
            self._tell(self._keep(kept, started=self._clock()), "start")
            return kept.pid

    async def wait(self, id: str) -> Exit:
        """See Runtime. Raises NotFound."""
        while True:
            kept = self._settled(id)
            if kept.ended:
                return Exit(kept.ended.code, kept.ended.oom, kept.ended.time)
            if container_record.lives(kept.conmon, kept.conmon_born):
                await process.wait_pid(kept.conmon)
            elif container_record.lives(kept.pid, kept.pid_born):
                await process.wait_pid(kept.pid)
            else:
                await asyncio.sleep(0.05)  # a zombie of ours, not reaped yet

    async def stop(self, id: str, signal: str, grace: float) -> None:
        """See Runtime. Raises NotFound, and RuntimeFailure for no signal."""
        number = signals.number(signal)
        kept = self._settled(id)
        if not kept.ended and kept.started:
            is_heard = signal_delivery.catches(kept.pid, number)
            self._signal(kept, number)
            more = None if is_heard else asyncio.ensure_future(signal_delivery.again(kept, number))
            try:
                async with asyncio.timeout(grace):
                    await self.wait(id)
            except TimeoutError:
                pass
            finally:
                if more:
                    more.cancel()
        await self._kill(id)
        if not kept.ended:
            self._tell(self._get(id), "stop")

    def kill(self, id: str, signal: str) -> None:
        """Send a running container's first process a signal ("" for SIGKILL).

        Raises NotFound, Conflict when it does not run, and RuntimeFailure for no signal.
        """
        number = signals.number(signal or "KILL")
        self._signal(self._running(id), number)

    async def remove(self, id: str) -> None:
        """See Runtime."""
        async with self._locks(id):
            if id in self._records:
                await self._clear(id)
        if not self._records:
            cgroups.forget(self._monitors)

    async def exec(self, id: str, command: Sequence[str], timeout: float, hook: Hook | None = None) -> Output:
        """See Runtime. Raises Conflict when it does not run."""
        shape = self._exec_shape(id, hook) | {"args": list(command)}
        with self._subgroups.one(self._cgroup(self._get(id))) as group:
            return await run_in(self._binary, self._state, self._sockets, id, shape, timeout, group)

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
        self._get(id)

        def over() -> bool:
            return id not in self._records or (to_exit and bool(self._settled(id).ended))

        wanted = Selection(since, until, stdout, stderr)
        async with aclosing(closable(log_file.read(self._directory(id), wanted, tail, follow, over))) as batches:
            async for batch in batches:
                yield batch

    # ── making ──

    async def _make(self, plan: ContainerPlan) -> None:
        directory = self._directory(plan.id)
        kept = self._records[plan.id] = container_record.first(plan, self._clock())
        policy = log_file.policy(plan.spec.log_driver, self._usual.log)
        self._check_runtime(plan)
        if self.image_store.find(plan.image.id) is None:
            raise ImageMissing(f"image {kept.image} is no longer on this host")
        make_directory(directory)
        kept.save(directory)
        layers = self.image_store.layers(plan.image.id)
        await self._workers.run("mounting its root file system", self._builder.root, directory, layers)
        with ExitStack() as held:
            built = await self._builder.build(plan, directory, held)
            log_size = policy.brake if policy.keep else 0
            made = await self._monitored(plan, directory, built.config["process"], log_size)
        spec, start = plan.spec.container_spec, built.config["process"]
        self._set_apart(made.conmon)
        self._keep(
            kept,
            command=start["args"],
            env=start["env"],
            user=spec.user or plan.image.user,
            directory=start["cwd"],
            mounts=[made_mount.mount for made_mount in built.mounts],
            volumes=container_record.volume_uses(list(built.mounts)),
            pid=made.pid,
            pid_born=container_record.born(made.pid),
            conmon=made.conmon,
            conmon_born=container_record.born(made.conmon),
        )
        self._tell(kept, "create")

    async def _monitored(self, plan: ContainerPlan, directory: Path, start: Any, log_size: int) -> conmon.Monitored:
        """The container of a finished bundle, and its monitor."""
        replace_file(directory / "process.json", msgspec.json.encode(start))
        spec, runtime = plan.spec.container_spec, (self._binary, "--root", str(self._state))
        return await conmon.create(
            plan.id, directory, self._sockets, runtime, tty=spec.tty, stdin=spec.open_stdin, log_size=log_size
        )

    def _exec_shape(self, id: str, hook: Hook | None) -> dict[str, Any]:
        """The OCI `process` of a further command in a container. Raises NotFound, Conflict, RuntimeFailure."""
        self._running(id)
        shape: dict[str, Any] = msgspec.json.decode((self._directory(id) / "process.json").read_bytes())
        if hook is None:
            return shape
        return self._builder.hook_shape(shape, hook, self._directory(id)) | {"args": hook.command}

    def _check_runtime(self, plan: ContainerPlan) -> None:
        wanted = plan.spec.container_spec.host_config
        if wanted and wanted.runtime and wanted.runtime not in (self.name, f"io.containerd.{self.name}.v2"):
            raise RuntimeFailure(f"this host runs containers with {self.name}, not with {wanted.runtime!r}")

    async def _expel(self, id: str) -> None:
        """Remove a container of which nothing is known."""
        log.error("a container without a readable record is removed", container=id)
        await recovery.end(id, self._containers)
        if (self._state / id).exists():
            await self._oci("delete", "--force", id)
        await self._forget_files(id)

    async def _forget_files(self, id: str) -> None:
        await self._workers.run("deleting its files", self._builder.clear, self._directory(id))
        for path in self._sockets.glob(f"{id}*"):
            path.unlink(missing_ok=True)

    async def _clear(self, id: str) -> None:
        """Kill it and remove every trace."""
        kept = self._records[id]
        if kept.pid:
            await self._kill(id)
        self._subgroups.forget(self._cgroup(kept))
        if kept.pid or (self._state / id).exists():
            await self._oci("delete", "--force", id)
        volumes = [use.name for use in self._records[id].volumes]
        await self._forget_files(id)
        del self._records[id]
        for name in volumes:
            try:
                await self.volumes.release(name)
            except (ArgosyError, OSError) as error:
                log.warning("a volume is not given back", volume=name, container=kept.name, why=str(error))
        if kept.pid:
            self._tell(kept, "destroy")

    # ── living and ending ──

    async def _kill(self, id: str) -> None:
        """Kill it and wait for its end. Raises RuntimeFailure when not even that ends it (it hangs in the kernel)."""
        for _ in range(_MOST_KILLS):
            if (kept := self._settled(id)).ended:
                return
            self._signal(kept, signals_.SIGKILL)
            try:
                async with asyncio.timeout(_KILL_WAIT):
                    await self.wait(id)
            except TimeoutError:
                if not container_record.lives(kept.pid, kept.pid_born):
                    return

    def _signal(self, kept: Record, number: int) -> None:
        if container_record.lives(kept.pid, kept.pid_born):
            self._tell(kept, "kill", signal=str(number))
            process.send_signal(kept.pid, number)

    def _settled(self, id: str) -> Record:
        """The record, with its end if it has come. Raises NotFound."""
        kept = self._get(id)
        if kept.ended or not kept.pid:
            return kept
        directory = self._directory(id)
        if found := conmon.exit_code(id, directory):
            return self._end(kept, Ended(found[0], conmon.was_out_of_memory(directory), found[1]))
        if not container_record.lives(kept.conmon, kept.conmon_born) and not container_record.lives(
            kept.pid, kept.pid_born
        ):
            if found := conmon.exit_code(id, directory):  # written between the two looks
                return self._end(kept, Ended(found[0], conmon.was_out_of_memory(directory), found[1]))
            return self._end(kept, Ended(LOST, False, self._clock()))
        return kept

    def _running(self, id: str) -> Record:
        kept = self._settled(id)
        if kept.ended or not kept.started:
            raise Conflict(f"container {kept.name} is not running")
        return kept

    def _end(self, kept: Record, ended: Ended) -> Record:
        if ended.oom:
            self._tell(kept, "oom")
        self._tell(kept, "die", exitCode=str(ended.code))
        return self._keep(kept, ended=ended)

    def _tell(self, kept: Record, action: str, **more: str) -> None:
        self.journal.tell("container", action, kept.id, container_record.attributes(kept) | more)

    def tell_health(self, id: str, state: str) -> None:
        """Into the journal: a container's health is another now. The agent knows it, not the runtime."""
        if kept := self._records.get(id):
            self._tell(kept, f"health_status: {state}")

    def _tell_exec(self, exec: Exec, action: str) -> None:
        if kept := self._records.get(exec.container):
            self._tell(kept, exec.event(action), **exec.attributes())

    def _keep(self, kept: Record, **changes: object) -> Record:
        changed = self._records[kept.id] = msgspec.structs.replace(kept, **changes)
        changed.save(self._directory(kept.id))
        return changed

    def _get(self, id: str) -> Record:
        if id not in self._records:
            raise NotFound(f"No such container: {id}")
        return self._records[id]

    def _directory(self, id: str) -> Path:
        return self._containers / id

    async def _oci(self, *arguments: str) -> process.Result:
        try:
            return await process.run(self._binary, "--root", str(self._state), *arguments, timeout=PATIENCE)
        except TimeoutError:
            raise RuntimeFailure(f"{self.name} {arguments[0]} did not end within {PATIENCE:g} s") from None

    def _load(self) -> None:
        for directory in self._containers.iterdir():
            try:
                kept = container_record.read(directory)
            except (OSError, twofold.Damaged):
                continue  # cut off before its record was written, or lost since: `run` looks for what exists of it
            if kept.id == directory.name:
                self._records[kept.id] = kept
                bundle_builder.close_to_others(directory)

    def _cgroup(self, kept: Record) -> str:
        return self._builder.cgroup(kept.spec.container_spec, kept.id)

    def _image_users(self, id: str) -> list[str]:
        return [kept.name for kept in self._records.values() if kept.image_id == id]

    def _volume_users(self, name: str) -> list[str]:
        return [kept.id for kept in self._records.values() if any(use.name == name for use in kept.volumes)]
