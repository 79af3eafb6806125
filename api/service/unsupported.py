"""What a valid spec may ask for and Argosy does not do: refused by name, never dropped.

Sentences begin with the field's path; the API answers them with 501. Take an entry out of
here when the part is built.
"""

from __future__ import annotations

from api.field_rules import Problems
from api.service.container import MOUNT_TYPES, ContainerSpec, Mount
from api.service.service_spec import ServiceSpec, TaskSpec

LOG_DRIVERS = ("", "json-file", "local", "none")


def service_refusals(spec: ServiceSpec) -> list[str]:
    """Parts of a service's spec that would not be honoured."""
    return list(_task(spec.task_template))


def _task(task: TaskSpec) -> Problems:
    path = "TaskTemplate"
    if task.runtime not in ("", "container"):
        yield f"{path}.Runtime: {task.runtime!r} is not supported; only containers are"
    if task.log_driver and task.log_driver.name not in LOG_DRIVERS:
        yield f"{path}.LogDriver: {task.log_driver.name!r} is not supported; json-file, local and none are"
    for number, network in enumerate(task.networks):
        if network.driver_opts:
            yield f"{path}.Networks[{number}].DriverOpts: driver options of an endpoint are not supported"
    yield from _container(f"{path}.ContainerSpec", task.container_spec)


def _container(path: str, spec: ContainerSpec) -> Problems:
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


def _mount(path: str, mount: Mount) -> Problems:
    if mount.type not in MOUNT_TYPES:
        yield f"{path}.Type: {mount.type!r} is not supported by Argosy; {', '.join(MOUNT_TYPES)} are"
    driver = mount.volume_options.driver_config if mount.volume_options else None
    if driver and driver.name not in ("", "local"):
        yield f"{path}.VolumeOptions.DriverConfig: volume driver {driver.name!r} is not supported; local is"
    elif driver and "size" in driver.options:
        yield f"{path}.VolumeOptions.DriverConfig.Options.size: volumes have no quota here"
