"""What a valid spec may ask for and Argosy does not do: refused by name, never dropped.

Each function gives sentences that begin with the field's path; the API answers them with 501. Take an entry out of
here when the part is built.
"""

from __future__ import annotations

from collections.abc import Iterator

from api.service.mounts import MOUNT_TYPES
from api.service.service_spec import ContainerSpec, Mount, NetworkSpec, ServiceSpec, TaskSpec

LOG_DRIVERS = ("", "json-file", "local", "none")
NETWORK_OPTIONS = ("com.docker.network.driver.mtu", "com.docker.network.driver.overlay.vxlanid_list")

Reasons = Iterator[str]


def service_refusals(spec: ServiceSpec) -> list[str]:
    """Parts of a service's spec that would not be honoured."""
    return list(_task(spec.task_template))


def network_refusals(spec: NetworkSpec) -> list[str]:
    """Parts of a network's spec that would not be honoured."""
    return list(_network(spec))


def _task(task: TaskSpec) -> Reasons:
    path = "TaskTemplate"
    if task.runtime not in ("", "container"):
        yield f"{path}.Runtime: {task.runtime!r} is not supported; only containers are"
    if task.log_driver and task.log_driver.name not in LOG_DRIVERS:
        yield f"{path}.LogDriver: {task.log_driver.name!r} is not supported; json-file, local and none are"
    for number, network in enumerate(task.networks):
        if network.driver_opts:
            yield f"{path}.Networks[{number}].DriverOpts: driver options of an endpoint are not supported"
    yield from _container(f"{path}.ContainerSpec", task.container_spec)


def _container(path: str, spec: ContainerSpec) -> Reasons:
    if spec.host_config and spec.host_config.storage_opt:
        yield f"{path}.HostConfig.StorageOpt: root filesystems have no quota here"
    for number, request in enumerate(spec.host_config.device_requests if spec.host_config else ()):
        is_gpu = any("gpu" in group for group in request.capabilities) and request.driver in ("", "nvidia")
        if request.driver != "cdi" and not is_gpu:
            yield f"{path}.HostConfig.DeviceRequests[{number}]: only the driver cdi, and GPUs, can be asked for"
        elif request.options:
            yield f"{path}.HostConfig.DeviceRequests[{number}].Options: options of a device driver are not supported"
    if spec.isolation not in ("", "default"):
        yield f"{path}.Isolation: {spec.isolation!r} is for Windows containers, which are not supported by Argosy"
    security = spec.privileges
    if security and security.se_linux_context and security.se_linux_context.disable is False:
        yield f"{path}.Privileges.SELinuxContext: SELinux labels are not supported"
    for number, mount in enumerate(spec.mounts):
        yield from _mount(f"{path}.Mounts[{number}]", mount)


def _mount(path: str, mount: Mount) -> Reasons:
    if mount.type not in MOUNT_TYPES:
        yield f"{path}.Type: {mount.type!r} is not supported by Argosy; {', '.join(MOUNT_TYPES)} are"
    driver = mount.volume_options.driver_config if mount.volume_options else None
    if driver and driver.name not in ("", "local"):
        yield f"{path}.VolumeOptions.DriverConfig: volume driver {driver.name!r} is not supported; local is"
    elif driver and "size" in driver.options:
        yield f"{path}.VolumeOptions.DriverConfig.Options.size: volumes have no quota here"


def _network(spec: NetworkSpec) -> Reasons:
    if spec.driver not in ("", "overlay"):
        yield f"Driver: {spec.driver!r} is not supported; a cluster's networks are overlay networks"
    if spec.scope not in ("", "swarm"):
        yield f"Scope: {spec.scope!r} is not supported; a cluster's networks have the scope swarm"
    if spec.enable_ipv6:
        yield "EnableIPv6: IPv6 on overlay networks is not supported"
    if "encrypted" in spec.options and spec.options["encrypted"] != "false":
        yield "Options.encrypted: encrypted networks are not supported"
    for name in sorted(set(spec.options) - {"encrypted", *NETWORK_OPTIONS}):
        yield f"Options.{name}: this option is not supported"
    yield from _addresses(spec)


def _addresses(spec: NetworkSpec) -> Reasons:
    if spec.ipam.driver not in ("", "default"):
        yield f"IPAM.Driver: {spec.ipam.driver!r} is not supported; default is"
    for name in sorted(spec.ipam.options or {}):
        yield f"IPAM.Options.{name}: this option is not supported"
    if len(spec.ipam.config) > 1:
        yield "IPAM.Config: more than one subnet is not supported"
    for number, config in enumerate(spec.ipam.config):
        if ":" in config.subnet:
            yield f"IPAM.Config[{number}].Subnet: IPv6 subnets are not supported"
