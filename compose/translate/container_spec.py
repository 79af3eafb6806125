"""Phase 13: the container spec of a service, translated as `docker stack deploy` does it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from api.service import container as container_specs
from api.service.container import (
    BindOptions,
    ConfigReference,
    ContainerSpec,
    DNSConfig,
    Driver,
    FileTarget,
    SecretReference,
    TmpfsOptions,
    Ulimit,
    VolumeOptions,
)
from compose.model.project import FileUse, Healthcheck, Logging, Mount, Project, Service, Tmpfs, Volume, image_of
from compose.model.stack import NAMESPACE
from compose.phases.file_contents import SECCOMP
from compose.read.option_syntax import parse_options, parse_pull_policy
from compose.read.volume_syntax import parse_tmpfs
from compose.translate.host_settings import hooks, host_config

API_SOCKET = "/run/argosy/docker.sock"
"""The default path at which every host serves the Docker Engine API."""


def container_spec(
    name: str, service: Service, project: Project, stack: str, files: Mapping[tuple[str, str], str]
) -> ContainerSpec:
    """The container spec of a service.

    `files`: the full names of secrets and configs by kind and short name, and seccomp profiles by kind and path.
    """
    profiles = {path: text for (kind, path), text in files.items() if kind == SECCOMP}
    return ContainerSpec(
        image=image_of(stack, name, service),
        labels=service.labels | {NAMESPACE: stack},
        command=service.entrypoint,
        args=service.command,
        hostname=service.hostname,
        env=[name if value is None else f"{name}={value}" for name, value in sorted(service.environment.items())],
        dir=service.working_dir,
        user=service.user,
        groups=service.group_add,
        privileges=parse_options(service.security_opt, profiles),
        tty=service.tty,
        open_stdin=service.stdin_open,
        read_only=service.read_only,
        mounts=_mounts(service, project.volumes, stack),
        stop_signal=service.stop_signal,
        stop_grace_period=service.stop_grace_period,
        healthcheck=_healthcheck(service.healthcheck),
        hosts=[f"{address} {name}" for name, addresses in service.extra_hosts.items() for address in addresses],
        dns_config=_dns(service),
        init=service.init,
        sysctls=strings(service.sysctls),
        capability_add=[_capability(name) for name in service.cap_add],
        capability_drop=[_capability(name) for name in service.cap_drop],
        ulimits=[Ulimit(name, limit.soft, limit.hard) for name, limit in sorted(service.ulimits.items())],
        oom_score_adj=service.oom_score_adj,
        domainname=service.domainname,
        pull_policy=parse_pull_policy(service.pull_policy),
        platform=service.platform,
        host_config=host_config(service),
        post_start=hooks(service.post_start),
        pre_stop=hooks(service.pre_stop),
        secrets=[SecretReference(file=_file(use), secret_name=files["secrets", use.source]) for use in service.secrets],
        configs=[ConfigReference(file=_file(use), config_name=files["configs", use.source]) for use in service.configs],
    )


def _file(use: FileUse) -> FileTarget:
    """The target of a secret or config. Without a directory it is in /run/secrets, or for configs in /."""
    return FileTarget(
        name=use.target or use.source,
        uid=use.uid or "0",
        gid=use.gid or "0",
        mode=0o444 if use.mode is None else use.mode,
    )


def log_driver(logging: Logging | None) -> Driver | None:
    """The log driver."""
    return Driver(logging.driver, strings(logging.options)) if logging else None


def strings(mapping: Mapping[str, str | None]) -> dict[str, str]:
    """The mapping with null values as empty strings."""
    return {key: value or "" for key, value in mapping.items()}


def _capability(name: str) -> str:
    upper = name.upper()
    return upper if upper == "ALL" or upper.startswith("CAP_") else f"CAP_{upper}"


def _dns(service: Service) -> DNSConfig | None:
    if not (service.dns or service.dns_search or service.dns_opt):
        return None
    return DNSConfig(nameservers=service.dns, search=service.dns_search, options=service.dns_opt)


def _healthcheck(check: Healthcheck | None) -> container_specs.Healthcheck | None:
    if check is None:
        return None
    if check.disable:
        return container_specs.Healthcheck(test=["NONE"])
    return container_specs.Healthcheck(
        test=check.test,
        interval=check.interval,
        timeout=check.timeout,
        retries=check.retries,
        start_period=check.start_period,
        start_interval=check.start_interval,
    )


def _mounts(service: Service, volumes: Mapping[str, Volume], stack: str) -> list[container_specs.Mount]:
    temporary = [msgspec.convert(parse_tmpfs(text), Mount) for text in service.tmpfs]
    mounts = [_mount(mount, volumes, stack) for mount in [*service.volumes, *temporary]]
    if service.use_api_socket:
        mounts.append(container_specs.Mount(type="bind", source=API_SOCKET, target="/var/run/docker.sock"))
    return mounts


def _mount(mount: Mount, volumes: Mapping[str, Volume], stack: str) -> container_specs.Mount:
    source, volume_options = mount.source, None
    if mount.type == "volume":
        source, volume_options = _named(mount, volumes, stack)
    return container_specs.Mount(
        type=mount.type,
        source=source,
        target=mount.target,
        read_only=mount.read_only,
        consistency=mount.consistency,
        bind_options=_bind(mount) if mount.bind else None,
        volume_options=volume_options,
        tmpfs_options=TmpfsOptions(mount.tmpfs.size, mount.tmpfs.mode, mount.tmpfs.options) if mount.tmpfs else None,
    )


def _tmpfs(options: Tmpfs | None) -> TmpfsOptions | None:
    return TmpfsOptions(options.size, options.mode, options.options) if options else None


def _bind(mount: Mount) -> BindOptions | None:
    if mount.bind is None:
        return None
    return BindOptions(
        propagation=mount.bind.propagation,
        create_mountpoint=bool(mount.bind.create_host_path),
        non_recursive=mount.bind.recursive == "disabled",
        read_only_non_recursive=mount.bind.recursive == "writable",
        read_only_force_recursive=mount.bind.recursive == "readonly",
    )


def _named(mount: Mount, volumes: Mapping[str, Volume], stack: str) -> tuple[str, VolumeOptions | None]:
    """A volume's name in the cluster, and how a host creates it when it does not exist."""
    use = mount.volume
    labels, no_copy, subpath = (strings(use.labels), use.nocopy, use.subpath) if use else ({}, False, "")
    if not mount.source:
        return "", VolumeOptions(no_copy=no_copy, labels=labels, subpath=subpath) if use else None
    volume = volumes[mount.source]
    if volume.external:
        name = volume.name or mount.source
        return name, VolumeOptions(no_copy=no_copy, labels=labels, subpath=subpath) if use else None
    has_driver = volume.driver or volume.driver_opts
    return volume.name or f"{stack}_{mount.source}", VolumeOptions(
        no_copy=no_copy,
        labels=strings(volume.labels) | labels | {NAMESPACE: stack},
        driver_config=Driver(volume.driver, strings(volume.driver_opts)) if has_driver else None,
        subpath=subpath,
    )
