"""Containers in the shapes that the Engine API gives them. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from agent.lifecycle.health import Health
from agent.runtime.containers.container_record import Record
from agent.runtime.interface import Container
from agent.runtime.oci.container_defaults import Usual
from api.codec import plain
from api.engine.common import timestamp
from api.image_reference import familiar
from api.service.container import Mount
from api.service.ports import PortConfig

ANY = "0.0.0.0"
"""All addresses of the host."""
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


def health(health: Health) -> dict[str, Any]:
    """`State.Health` of a container."""
    return {
        "Status": health.state.value,
        "FailingStreak": health.streak,
        "Log": [
            {
                "Start": timestamp(probe.start),
                "End": timestamp(probe.end),
                "ExitCode": probe.code,
                "Output": probe.output,
            }
            for probe in health.log
        ],
    }


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
    networks: Mapping[str, Any],
    ports: Sequence[PortConfig],
    now: float,
    health: str = "none",
) -> dict[str, Any]:
    """An item of GET /containers/json."""
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": familiar(container.image),
        "ImageID": container.image_id,
        "Command": shlex.join(container.command),
        "Created": int(container.created),
        "Ports": [
            {"IP": p.host_ip or ANY, "PrivatePort": p.target_port, "PublicPort": p.published_port, "Type": p.protocol}
            for p in ports
        ],
        "Labels": container.labels,
        "State": state(container),
        "Status": status(container, now, health),
        "HostConfig": {"NetworkMode": "default" if record.netns else "host"},
        "NetworkSettings": {"Networks": networks},
        "Mounts": mount_points(record, ""),
    }


def inspection(
    container: Container,
    record: Record,
    networks: Mapping[str, Any],
    ports: Sequence[PortConfig],
    data_root: str,
    runtime: str,
    usual: Usual,
) -> dict[str, Any]:
    """The body of GET /containers/{id}/json."""
    directory = f"{data_root}/containers/{container.id}"
    return {
        "Id": container.id,
        "Created": timestamp(container.created),
        "Path": container.command[0] if container.command else "",
        "Args": list(container.command[1:]),
        "State": _state(container),
        "Image": container.image_id,
        "ResolvConfPath": f"{directory}/resolv.conf",
        "HostnamePath": f"{directory}/hostname",
        "HostsPath": f"{directory}/hosts",
        "LogPath": f"{directory}/log",
        "Name": f"/{container.name}",
        "RestartCount": 0,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": _host_config(record, runtime, usual),
        "GraphDriver": {
            "Name": "overlay2",
            "Data": {
                "MergedDir": f"{directory}/rootfs",
                "UpperDir": f"{directory}/upper",
                "WorkDir": f"{directory}/work",
            },
        },
        "Mounts": mount_points(record, data_root),
        "Config": _config(container, record),
        "NetworkSettings": {
            "SandboxID": container.id,
            "SandboxKey": record.netns,
            "Ports": {
                f"{p.target_port}/{p.protocol}": [{"HostIp": p.host_ip or ANY, "HostPort": str(p.published_port)}]
                for p in ports
            },
            "Networks": networks,
        },
    }


def mount_points(record: Record, data_root: str) -> list[dict[str, Any]]:
    """Docker's `Mounts`."""
    names = {use.target: use.name for use in record.volumes}
    found = []
    for mount in record.mounts:
        name = names.get(mount.target, "")
        point = {
            "Type": mount.type,
            "Source": f"{data_root}/volumes/{name}/_data" if name else mount.source,
            "Destination": mount.target,
            "Mode": "",
            "RW": not mount.read_only,
            "Propagation": (mount.bind_options.propagation if mount.bind_options else "") or _propagation(mount),
        }
        found.append(point | ({"Name": name, "Driver": "local"} if name else {}))
    return found


def _propagation(mount: Mount) -> str:
    return "rprivate" if mount.type == "bind" else ""


def _state(container: Container) -> dict[str, Any]:
    ended = container.exit
    return {
        "Status": state(container),
        "Running": state(container) == "running",
        "Paused": False,
        "Restarting": False,
        "OOMKilled": bool(ended and ended.oom),
        "Dead": False,
        "Pid": container.pid,
        "ExitCode": ended.code if ended else 0,
        "Error": "",
        "StartedAt": timestamp(container.started),
        "FinishedAt": timestamp(ended.time if ended else 0.0),
    }


def _config(container: Container, record: Record) -> dict[str, Any]:
    spec = record.spec.container_spec
    return {
        "Hostname": record.hostname,
        "Domainname": "",
        "User": record.user,
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "Tty": spec.tty,
        "OpenStdin": spec.open_stdin,
        "StdinOnce": False,
        "Env": record.env,
        "Cmd": spec.args or None,
        "Healthcheck": plain(spec.healthcheck) if spec.healthcheck else None,
        "Image": familiar(container.image),
        "Volumes": None,
        "WorkingDir": record.directory,
        "Entrypoint": spec.command or None,
        "Labels": container.labels,
        "StopSignal": spec.stop_signal or "SIGTERM",
    }


def _host_config(record: Record, runtime: str, usual: Usual) -> dict[str, Any]:
    task, spec = record.spec, record.spec.container_spec
    limits = task.resources.limits if task.resources and task.resources.limits else None
    driver = task.log_driver
    return {
        "Binds": None,
        "Mounts": [plain(mount) for mount in spec.mounts] or None,
        "LogConfig": {
            "Type": (driver.name if driver else "") or usual.log_driver,
            "Config": driver.options if driver else {},
        },
        "NetworkMode": "default" if record.netns else "host",
        "PortBindings": {},
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "AutoRemove": False,
        "CapAdd": spec.capability_add or None,
        "CapDrop": spec.capability_drop or None,
        "GroupAdd": spec.groups or None,
        "IpcMode": "private",
        "OomScoreAdj": spec.oom_score_adj,
        "PidMode": "",
        "Privileged": False,
        "ReadonlyRootfs": spec.read_only,
        "SecurityOpt": None,
        "ShmSize": 67_108_864,
        "Sysctls": spec.sysctls or None,
        "Ulimits": [plain(ulimit) for ulimit in spec.ulimits] or None,
        "Init": spec.init,
        "Runtime": runtime,
        "Memory": limits.memory_bytes if limits else 0,
        "NanoCpus": limits.nano_cpus if limits else 0,
        "PidsLimit": (limits.pids if limits else 0) or usual.pids_limit or None,
        "ExtraHosts": spec.hosts or None,
    }
