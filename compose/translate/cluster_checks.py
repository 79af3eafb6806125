"""The cluster's own checks, run on the translated stack; each problem is shown at its place in the compose file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from api.network.network_validation import network_problems, network_refusals
from api.service.service_validation import service_problems
from api.service.unsupported import service_refusals
from api.stored_file import MOST_CONFIG, MOST_SECRET, ConfigSpec, SecretSpec, file_problems
from compose.model.load_state import LoadState
from compose.model.project import project_of
from compose.model.stack import Stack, StackService
from compose.read.option_syntax import BadOption
from compose.read.report import Diagnostic
from compose.read.tree import Path, TreeNode, plain
from compose.read.volume_syntax import BadVolume
from compose.translate.translate import translate

_CONTAINER = "TaskTemplate.ContainerSpec."
_SERVICE: dict[str, tuple[str, ...]] = {
    f"{_CONTAINER}Image": ("image",),
    f"{_CONTAINER}Hosts": ("extra_hosts",),
    f"{_CONTAINER}DNSConfig": ("dns",),
    f"{_CONTAINER}Ulimits": ("ulimits",),
    f"{_CONTAINER}StopGracePeriod": ("stop_grace_period",),
    f"{_CONTAINER}StopSignal": ("stop_signal",),
    f"{_CONTAINER}OomScoreAdj": ("oom_score_adj",),
    f"{_CONTAINER}Healthcheck": ("healthcheck",),
    f"{_CONTAINER}Mounts": ("volumes",),
    f"{_CONTAINER}Env": ("environment",),
    f"{_CONTAINER}Labels": ("labels",),
    f"{_CONTAINER}Hostname": ("hostname",),
    f"{_CONTAINER}Secrets": ("secrets",),
    f"{_CONTAINER}Configs": ("configs",),
    f"{_CONTAINER}Sysctls": ("sysctls",),
    f"{_CONTAINER}Privileges": ("security_opt",),
    f"{_CONTAINER}Platform": ("platform",),
    f"{_CONTAINER}PostStart": ("post_start",),
    f"{_CONTAINER}PreStop": ("pre_stop",),
    f"{_CONTAINER}HostConfig.Devices": ("devices",),
    f"{_CONTAINER}HostConfig.DeviceRequests": ("gpus",),
    f"{_CONTAINER}HostConfig.DeviceCgroupRules": ("device_cgroup_rules",),
    f"{_CONTAINER}HostConfig.CgroupParent": ("cgroup_parent",),
    f"{_CONTAINER}HostConfig.CpusetCpus": ("cpuset",),
    f"{_CONTAINER}HostConfig.MemorySwap": ("memswap_limit",),
    f"{_CONTAINER}HostConfig.Blkio": ("blkio_config",),
    f"{_CONTAINER}HostConfig.IpcMode": ("ipc",),
    f"{_CONTAINER}HostConfig.PidMode": ("pid",),
    f"{_CONTAINER}HostConfig.ShmSize": ("shm_size",),
    f"{_CONTAINER}HostConfig.UTSMode": ("uts",),
    f"{_CONTAINER}HostConfig.UsernsMode": ("userns_mode",),
    f"{_CONTAINER}HostConfig.CgroupnsMode": ("cgroup",),
    f"{_CONTAINER}HostConfig.Annotations": ("annotations",),
    f"{_CONTAINER}HostConfig.Runtime": ("runtime",),
    f"{_CONTAINER}HostConfig.OomKillDisable": ("oom_kill_disable",),
    f"{_CONTAINER}HostConfig.CpuShares": ("cpu_shares",),
    f"{_CONTAINER}HostConfig.CpuPeriod": ("cpu_period",),
    f"{_CONTAINER}HostConfig.CpuQuota": ("cpu_quota",),
    f"{_CONTAINER}HostConfig.CpuRealtimePeriod": ("cpu_rt_period",),
    f"{_CONTAINER}HostConfig.CpuRealtimeRuntime": ("cpu_rt_runtime",),
    f"{_CONTAINER}HostConfig.MemoryReservation": ("mem_reservation",),
    f"{_CONTAINER}HostConfig.MemorySwappiness": ("mem_swappiness",),
    f"{_CONTAINER}HostConfig.Privileged": ("privileged",),
    f"{_CONTAINER}CapabilityAdd": ("cap_add",),
    f"{_CONTAINER}CapabilityDrop": ("cap_drop",),
    f"{_CONTAINER}PullPolicy": ("pull_policy",),
    f"{_CONTAINER}Domainname": ("domainname",),
    f"{_CONTAINER}User": ("user",),
    f"{_CONTAINER}Groups": ("group_add",),
    f"{_CONTAINER}Dir": ("working_dir",),
    "DependsOn": ("depends_on",),
    "TaskTemplate.LogDriver": ("logging",),
    "TaskTemplate.Resources.Limits": ("deploy", "resources", "limits"),
    "TaskTemplate.Resources.Reservations": ("deploy", "resources", "reservations"),
    "TaskTemplate.RestartPolicy": ("deploy", "restart_policy"),
    "TaskTemplate.Placement": ("deploy", "placement"),
    "TaskTemplate.Networks": ("networks",),
    "UpdateConfig": ("deploy", "update_config"),
    "RollbackConfig": ("deploy", "rollback_config"),
    "EndpointSpec.Ports": ("ports",),
    "EndpointSpec": ("deploy", "endpoint_mode"),
    "Mode": ("deploy", "mode"),
    "Labels": ("deploy", "labels"),
    "Schedule": ("x-argosy-schedule",),
    "Schedule.Cron": ("x-argosy-schedule", "cron"),
    "Schedule.TimeZone": ("x-argosy-schedule", "timezone"),
    "Schedule.Overlap": ("x-argosy-schedule", "overlap"),
    "Schedule.MissedWindow": ("x-argosy-schedule", "missed_window"),
    "Schedule.ActiveDeadline": ("x-argosy-schedule", "active_deadline"),
    "Schedule.History": ("x-argosy-schedule", "history"),
}
_ELSEWHERE: dict[tuple[str, ...], tuple[tuple[str, ...], ...]] = {
    ("gpus",): (("deploy", "resources", "reservations", "devices"), ("devices",)),
    ("volumes",): (("tmpfs",),),
    ("networks",): (("network_mode",), ("mac_address",)),
    ("deploy", "resources", "limits"): (("cpus",), ("mem_limit",), ("pids_limit",)),
    ("deploy", "resources", "reservations"): (("mem_reservation",),),
    ("deploy", "restart_policy"): (("restart",),),
    ("deploy", "mode"): (("scale",),),
}
"""Other attributes of a service that the same field may come from."""
_FILE: dict[str, tuple[str, ...]] = {"Name": ("name",), "Labels": ("labels",)}
_NETWORK: dict[str, tuple[str, ...]] = {
    "Driver": ("driver",),
    "IPAM": ("ipam",),
    "Options": ("driver_opts",),
    "Labels": ("labels",),
    "EnableIPv6": ("enable_ipv6",),
    "Name": ("name",),
}


def refusals(tree: TreeNode, stack: Stack) -> list[Diagnostic]:
    """All problems the cluster would report, each at the attribute that causes it."""
    services = tree.at("services")
    found = [problem for item in stack.services for problem in _of_service(services, item)]
    return [*found, *_of_networks(tree, stack), *_of_files(tree, stack)]


def refusals_of_valid_parts(state: LoadState) -> list[Diagnostic]:
    """The cluster's problems of the valid parts of a project that has other problems, so that all are shown at once."""
    stack = state.stack or "stack"
    found: list[Diagnostic] = []
    tree = plain(state.tree) or {}
    defined = {kind: tree.get(kind) or {} for kind in ("networks", "volumes", "secrets", "configs")}
    for name, entries in (tree.get("services") or {}).items():
        try:
            project = project_of({**defined, "services": {name: entries}})
            part = translate(project, stack, state.contents)
        except (msgspec.ValidationError, BadOption, BadVolume, KeyError):
            continue  # its problem was reported already
        found += refusals(state.tree, part)
    reported = {(problem.mark, problem.path) for problem in state.report.problems}
    return [problem for problem in found if (problem.mark, problem.path) not in reported]


def _of_service(services: Mapping[str, TreeNode], item: StackService) -> Iterator[Diagnostic]:
    path = ("services", item.short_name)
    for sentence in (*service_problems(item.spec), *service_refusals(item.spec)):
        yield _at_attribute(services[item.short_name], path, sentence, _SERVICE)


def _of_files(tree: TreeNode, stack: Stack) -> Iterator[Diagnostic]:
    for file in stack.secrets:
        spec = SecretSpec(file.name, dict(file.labels), file.data)
        for sentence in file_problems("secret", spec, MOST_SECRET):
            yield _at_attribute(tree.at("secrets")[file.short_name], ("secrets", file.short_name), sentence, _FILE)
    for file in stack.configs:
        found = ConfigSpec(file.name, dict(file.labels), file.data)
        for sentence in file_problems("config", found, MOST_CONFIG):
            yield _at_attribute(tree.at("configs")[file.short_name], ("configs", file.short_name), sentence, _FILE)


def _of_networks(tree: TreeNode, stack: Stack) -> Iterator[Diagnostic]:
    networks = tree.at("networks")
    for spec in stack.networks:
        name = spec.name if spec.name in networks else spec.name.removeprefix(f"{stack.name}_")
        found = [key for key, node in networks.items() if spec.name == _text(node, "name")] or [name]
        node = networks.get(found[0], tree)
        for sentence in (*network_problems(spec), *network_refusals(spec)):
            yield _at_attribute(node, ("networks", found[0]), sentence, _NETWORK)


def _text(node: TreeNode, key: str) -> str:
    found = node.get(key)
    return found.text if found else ""


def _at_attribute(node: TreeNode, path: Path, sentence: str, places: dict[str, tuple[str, ...]]) -> Diagnostic:
    """The sentence at the attribute that its API path comes from, or with the API path when there is none."""
    where, _, rest = sentence.partition(": ")
    for prefix in sorted(places, key=len, reverse=True):
        if not where.startswith(prefix):
            continue
        if prefix == "Options" and (option := node.get("driver_opts", where.removeprefix("Options."))):
            return Diagnostic(option.mark, (*path, "driver_opts", where.removeprefix("Options.")), rest)
        for keys in (places[prefix], *_ELSEWHERE.get(places[prefix], ())):
            target = node.get(*keys)
            if target is not None:
                return Diagnostic(target.mark, (*path, *keys), rest)
    return Diagnostic(node.mark, path, sentence)
