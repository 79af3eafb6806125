"""Containers in the shapes that the Engine API gives them. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import UNSET

from agent.lifecycle.health import NO_HEALTH, Health, HealthState
from agent.runtime.containers.container_record import Record
from agent.runtime.interface import Container
from agent.runtime.oci.container_defaults import ContainerDefaults
from api.engine.common import timestamp
from api.engine.containers import (
    ContainerAnswer,
    ContainerConfig,
    ContainerHealth,
    ContainerHostConfig,
    ContainerNetworkSettings,
    ContainerPort,
    ContainerState,
    ContainerSummaryAnswer,
    EndpointSettings,
    HealthProbe,
    LogConfig,
    MountPoint,
    PortBinding,
    SummaryHostConfig,
    SummaryNetworkSettings,
)
from api.engine.images import GraphDriver
from api.image_reference import familiar
from api.service.container import Driver, Mount
from api.service.ports import PortConfig
from api.service.resources import Limits

ANY = "0.0.0.0"
"""All addresses of the host."""
SHM_SIZE = 64 * 1024 * 1024
"""Bytes of /dev/shm, as Docker has it."""
_UNITS = (
    ("year", 31_536_000),
    ("month", 2_592_000),
    ("week", 604_800),
    ("day", 86_400),
    ("hour", 3600),
    ("minute", 60),
)


def state(container: Container) -> str:
    """Docker's word for it."""
    return "exited" if container.exit else "running" if container.started else "created"


def status(container: Container, now: float, health: str = "none") -> str:
    """The STATUS column of `docker ps`."""
    if container.exit:
        return f"Exited ({container.exit.code}) {duration(now - container.exit.time)} ago"
    if not container.started:
        return "Created"
    words = {"none": "", "starting": " (health: starting)"}.get(health, f" ({health})")
    return f"Up {duration(now - container.started)}{words}"


def duration(seconds: float) -> str:
    """A length of time, roughly, as Docker words it."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return f"{whole} second{'s' * (whole != 1)}"
    for name, size in _UNITS:
        least = 2 if name in ("day", "week", "month", "year") else 1
        if whole >= size * least:
            count = whole // size
            if count == 1:
                return "About an hour" if name == "hour" else f"About a {name}"
            return f"{count} {name}s"
    return f"{whole} seconds"


def summary(
    container: Container,
    record: Record,
    networks: Mapping[str, EndpointSettings],
    ports: Sequence[PortConfig],
    now: float,
    health: str = "none",
) -> ContainerSummaryAnswer:
    """An item of GET /containers/json."""
    return ContainerSummaryAnswer(
        id=container.id,
        names=[f"/{container.name}"],
        image=familiar(container.image),
        image_id=container.image_id,
        command=shlex.join(container.command),
        created=int(container.created),
        ports=[ContainerPort(p.host_ip or ANY, p.target_port, p.published_port, p.protocol) for p in ports],
        labels=container.labels,
        state=state(container),
        status=status(container, now, health),
        host_config=SummaryHostConfig(network_mode(record)),
        network_settings=SummaryNetworkSettings(dict(networks)),
        mounts=mount_points(record, ""),
    )


@dataclass(frozen=True, slots=True)
class Engine:
    """What all containers of a host have in common."""

    data_root: str
    runtime: str
    """crun or runc."""
    usual: ContainerDefaults


def inspection(
    container: Container,
    record: Record,
    networks: Mapping[str, EndpointSettings],
    ports: Sequence[PortConfig],
    engine: Engine,
    health: Health = NO_HEALTH,
    exec_ids: Sequence[str] = (),
) -> ContainerAnswer:
    """The body of GET /containers/{id}/json."""
    directory = f"{engine.data_root}/containers/{container.id}"
    return ContainerAnswer(
        id=container.id,
        created=timestamp(container.created),
        path=container.command[0] if container.command else "",
        args=list(container.command[1:]),
        state=_state(container, health),
        image=container.image_id,
        resolv_conf_path=f"{directory}/resolv.conf",
        hostname_path=f"{directory}/hostname",
        hosts_path=f"{directory}/hosts",
        log_path=f"{directory}/log",
        name=f"/{container.name}",
        driver="overlay2",
        platform="linux",
        exec_ids=list(exec_ids) or None,
        host_config=_host_config(record, engine),
        graph_driver=GraphDriver(
            "overlay2",
            {
                "MergedDir": f"{directory}/rootfs",
                "UpperDir": f"{directory}/upper",
                "WorkDir": f"{directory}/work",
            },
        ),
        mounts=mount_points(record, engine.data_root),
        config=_config(container, record),
        network_settings=ContainerNetworkSettings(
            sandbox_id=container.id,
            sandbox_key=record.netns,
            ports={
                f"{p.target_port}/{p.protocol}": [PortBinding(p.host_ip or ANY, str(p.published_port))] for p in ports
            },
            networks=dict(networks),
        ),
    )


def network_mode(record: Record) -> str:
    """Docker's word for where its network is."""
    return "default" if record.netns else "host"


def mount_points(record: Record, data_root: str) -> list[MountPoint]:
    """Docker's `Mounts`."""
    names = {use.target: use.name for use in record.volumes}
    return [_mount_point(mount, names.get(mount.target, ""), data_root) for mount in record.mounts]


def _mount_point(mount: Mount, volume: str, data_root: str) -> MountPoint:
    return MountPoint(
        type=mount.type,
        name=volume or UNSET,
        source=f"{data_root}/volumes/{volume}/_data" if volume else mount.source,
        destination=mount.target,
        driver="local" if volume else UNSET,
        rw=not mount.read_only,
        propagation=(mount.bind_options.propagation if mount.bind_options else "") or _propagation(mount),
    )


def _propagation(mount: Mount) -> str:
    return "rprivate" if mount.type == "bind" else ""


def _state(container: Container, health: Health) -> ContainerState:
    ended = container.exit
    return ContainerState(
        status=state(container),
        running=state(container) == "running",
        oom_killed=bool(ended and ended.oom),
        pid=container.pid,
        exit_code=ended.code if ended else 0,
        started_at=timestamp(container.started),
        finished_at=timestamp(ended.time if ended else 0.0),
        health=UNSET if health.state is HealthState.NONE else _health(health),
    )


def _health(health: Health) -> ContainerHealth:
    return ContainerHealth(
        status=health.state.value,
        failing_streak=health.streak,
        log=[
            HealthProbe(timestamp(probe.start), timestamp(probe.end), probe.code, probe.output) for probe in health.log
        ],
    )


def _config(container: Container, record: Record) -> ContainerConfig:
    spec = record.spec.container_spec
    return ContainerConfig(
        hostname=record.hostname,
        user=record.user,
        tty=spec.tty,
        open_stdin=spec.open_stdin,
        env=record.env,
        cmd=spec.args or None,
        healthcheck=spec.healthcheck,
        image=familiar(container.image),
        working_dir=record.directory,
        entrypoint=spec.command or None,
        labels=container.labels,
        stop_signal=spec.stop_signal or "SIGTERM",
    )


def _host_config(record: Record, engine: Engine) -> ContainerHostConfig:
    task, spec = record.spec, record.spec.container_spec
    limits = (task.resources.limits if task.resources else None) or Limits()
    driver = task.log_driver or Driver()
    return ContainerHostConfig(
        mounts=spec.mounts or None,
        log_config=LogConfig(driver.name or engine.usual.log_driver, driver.options),
        network_mode=network_mode(record),
        cap_add=spec.capability_add or None,
        cap_drop=spec.capability_drop or None,
        group_add=spec.groups or None,
        ipc_mode="private",
        oom_score_adj=spec.oom_score_adj,
        readonly_rootfs=spec.read_only,
        shm_size=SHM_SIZE,
        sysctls=spec.sysctls or None,
        ulimits=spec.ulimits or None,
        init=spec.init,
        runtime=engine.runtime,
        memory=limits.memory_bytes,
        nano_cpus=limits.nano_cpus,
        pids_limit=limits.pids or engine.usual.pids_limit or None,
        extra_hosts=spec.hosts or None,
    )
