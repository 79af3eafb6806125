"""Phase 13: the host config of a container (devices, namespaces, cgroup settings) and its hooks."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from api.service import host_config as hostconfig
from api.service.host_config import HostConfig
from compose.model.deploy_model import DeviceRequest
from compose.model.project import BlockIo, Device, Hook, Service, ThrottleDevice
from compose.read.device_syntax import ALL, is_cdi

_UNHIDDEN = ("systempaths=unconfined", "systempaths:unconfined")


def host_config(service: Service) -> HostConfig | None:
    """The host config; None when the service uses only Docker's defaults."""
    found = HostConfig(
        privileged=service.privileged,
        devices=[_device(device) for device in service.devices if not is_cdi(device.source)],
        device_cgroup_rules=service.device_cgroup_rules,
        device_requests=_requests(service),
        shm_size=service.shm_size,
        ipc_mode=service.ipc,
        pid_mode=service.pid or "",
        uts_mode=service.uts,
        userns_mode=service.userns_mode,
        cgroupns_mode=service.cgroup,
        cgroup_parent=service.cgroup_parent,
        annotations={key: value or "" for key, value in service.annotations.items()},
        runtime=service.runtime,
        oom_kill_disable=service.oom_kill_disable,
        cpu_shares=service.cpu_shares,
        cpu_period=service.cpu_period,
        cpu_quota=service.cpu_quota,
        cpu_realtime_period=service.cpu_rt_period,
        cpu_realtime_runtime=service.cpu_rt_runtime,
        cpuset_cpus=service.cpuset,
        memory_reservation=service.mem_reservation,
        memory_swap=service.memswap_limit,
        memory_swappiness=service.mem_swappiness,
    )
    if any(option in _UNHIDDEN for option in service.security_opt):
        found = msgspec.structs.replace(found, masked_paths=[], readonly_paths=[])
    found = _with_block_io(found, service.blkio_config)
    return found if found != HostConfig() else None


def hooks(found: Iterable[Hook]) -> list[hostconfig.Hook]:
    """The hooks of `post_start` or `pre_stop`."""
    return [
        hostconfig.Hook(
            command=hook.command,
            user=hook.user,
            privileged=hook.privileged,
            working_dir=hook.working_dir,
            environment=[f"{name}={value or ''}" for name, value in sorted(hook.environment.items())],
        )
        for hook in found
    ]


def _device(device: Device) -> hostconfig.Device:
    return hostconfig.Device(
        path_on_host=device.source,
        path_in_container=device.target or device.source,
        cgroup_permissions=device.permissions or "rwm",
    )


def _requests(service: Service) -> list[hostconfig.DeviceRequest]:
    named = [device.source for device in service.devices if is_cdi(device.source)]
    reserved = service.deploy.resources.reservations
    return [
        *([hostconfig.DeviceRequest(driver="cdi", device_ids=named)] if named else []),
        *(_request(request, "gpu") for request in service.gpus),
        *(_request(request) for request in (reserved.devices if reserved else [])),
    ]


def _request(request: DeviceRequest, *implied: str) -> hostconfig.DeviceRequest:
    """A device request. Without a count or ids it asks for all devices, as in Docker Compose."""
    count = request.count
    if count is None:
        count = 0 if request.device_ids else ALL
    return hostconfig.DeviceRequest(
        driver=request.driver,
        count=count,
        device_ids=request.device_ids,
        capabilities=[list(dict.fromkeys([*request.capabilities, *implied]))],
    )


def _with_block_io(found: HostConfig, blocks: BlockIo) -> HostConfig:
    def throttles(devices: Iterable[ThrottleDevice]) -> list[hostconfig.ThrottleDevice]:
        return [hostconfig.ThrottleDevice(device.path, device.rate) for device in devices]

    return msgspec.structs.replace(
        found,
        blkio_weight=blocks.weight,
        blkio_weight_device=[hostconfig.WeightDevice(item.path, item.weight) for item in blocks.weight_device],
        blkio_device_read_bps=throttles(blocks.device_read_bps),
        blkio_device_write_bps=throttles(blocks.device_write_bps),
        blkio_device_read_iops=throttles(blocks.device_read_iops),
        blkio_device_write_iops=throttles(blocks.device_write_iops),
    )
