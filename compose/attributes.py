"""Every attribute of the Compose Specification: what it takes, and whether it is honoured or refused.

One table, path → Rule. `*` stands for any key, `[]` for any item. A refused attribute's parts need no entry. Nothing
that is not in here is accepted, and nothing that is in here is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

from compose.tree import Scalar


@dataclass(frozen=True, slots=True)
class Rule:
    """`kinds` are names of compose/kinds.py, the first that fits counts; `one_of` bounds strings."""

    kinds: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    refusal: str = ""
    """Why the attribute cannot be honoured and what to do instead; "" when it is honoured."""
    harmless: tuple[Scalar, ...] = ()
    """Values of a refused attribute that ask for what is the case anyway."""
    note: str = ""
    """Said when the attribute is met: it is for another command than deploying."""
    required: tuple[str, ...] = ()


def takes(kinds: str, *one_of: str, note: str = "", required: tuple[str, ...] = ()) -> Rule:
    """An honoured attribute."""
    return Rule(tuple(kinds.split("|")), one_of, note=note, required=required)


def refused(reason: str, *harmless: Scalar) -> Rule:
    """An attribute that is refused by name."""
    return Rule(refusal=reason, harmless=harmless)


def strings(path: str) -> dict[str, Rule]:
    """A list of strings."""
    return {path: takes("list"), f"{path}.[]": takes("scalar")}


def one_or_more(path: str) -> dict[str, Rule]:
    """A string or a list of them."""
    return {path: takes("list|scalar|null"), f"{path}.[]": takes("scalar")}


def assignments(path: str) -> dict[str, Rule]:
    """A mapping, or a list of KEY=VALUE."""
    return {path: takes("map|list|null"), f"{path}.*": takes("scalar|null"), f"{path}.[]": takes("scalar")}


def options(path: str) -> dict[str, Rule]:
    """A mapping of strings."""
    return {path: takes("map|null"), f"{path}.*": takes("scalar|null")}


def external(path: str) -> dict[str, Rule]:
    """`external: true`, or the old form with a name."""
    return {path: takes("map|boolean"), f"{path}.name": takes("string")}


def _update(path: str, *failure_actions: str) -> dict[str, Rule]:
    return {
        path: takes("map|null"),
        f"{path}.parallelism": takes("integer"),
        f"{path}.delay": takes("duration"),
        f"{path}.failure_action": takes("string", *failure_actions),
        f"{path}.monitor": takes("duration"),
        f"{path}.max_failure_ratio": takes("number"),
        f"{path}.order": takes("string", "start-first", "stop-first"),
    }


_LIMITS = "cgroup settings other than CPUs, memory and pids are not supported; use cpus, mem_limit or pids_limit"
_HOST = "containers do not share namespaces with their host or with each other"
_DEVICE = "host devices are not supported yet"
_BUILDING = "is for building; the deployed image is the one named by `image`"
_ADDRESSES = "the cluster gives containers their addresses"
_FILES = "are not supported yet; mount a volume, or build the file into the image"

TOP: dict[str, Rule] = {
    "version": takes("scalar"),
    "name": takes("string"),
    "include": refused("including other files is not supported yet; give every file with -c"),
    "models": refused("models are not supported"),
    "secrets": refused(f"secrets {_FILES}"),
    "configs": refused(f"configs {_FILES}"),
    "services": takes("map"),
    "services.*": takes("map"),
    "networks": takes("map|null"),
    "networks.*": takes("map|null"),
    "volumes": takes("map|null"),
    "volumes.*": takes("map|null"),
}

CONTAINER: dict[str, Rule] = {
    "annotations": refused("OCI annotations are not supported; use labels"),
    "attach": takes("boolean", note="has no effect on a deployed service; it is for `compose up`"),
    "build": takes("string|map|null", note=_BUILDING),
    "build.*": Rule(),
    "blkio_config": refused(_LIMITS),
    **strings("cap_add"),
    **strings("cap_drop"),
    "cgroup": refused(_HOST, "private"),
    "cgroup_parent": refused("containers stand in the daemon's own cgroup"),
    **one_or_more("command"),
    "configs": refused(f"configs {_FILES}"),
    "container_name": refused("a service has one container per task, named by service, slot and task; remove it"),
    "cpu_count": refused(_LIMITS),
    "cpu_percent": refused(_LIMITS),
    "cpu_period": refused(_LIMITS),
    "cpu_quota": refused(_LIMITS),
    "cpu_rt_period": refused(_LIMITS),
    "cpu_rt_runtime": refused(_LIMITS),
    "cpu_shares": refused(_LIMITS),
    "cpus": takes("number"),
    "cpuset": refused(_LIMITS),
    "credential_spec": refused("credential specs are for Windows containers"),
    "depends_on": takes("map|list"),
    "depends_on.[]": takes("string"),
    "depends_on.*": takes("map", required=("condition",)),
    "depends_on.*.condition": takes("string", "service_started", "service_healthy", "service_completed_successfully"),
    "depends_on.*.required": takes("boolean"),
    "depends_on.*.restart": refused("restarting a service with its dependency is not supported", False),
    "develop": takes("map|null", note="has no effect on a deployed service; it is for `compose watch`"),
    "develop.*": Rule(),
    "device_cgroup_rules": refused(_DEVICE),
    "devices": refused(_DEVICE),
    **one_or_more("dns"),
    **strings("dns_opt"),
    **one_or_more("dns_search"),
    "domainname": refused("put the domain into hostname"),
    **one_or_more("entrypoint"),
    "env_file": takes("list|string"),
    "env_file.[]": takes("map|string", required=("path",)),
    "env_file.[].path": takes("string"),
    "env_file.[].required": takes("boolean"),
    "env_file.[].format": takes("string", "", "raw"),
    **assignments("environment"),
    **strings("expose"),
    "extends": refused("extending services is not supported yet; use YAML anchors, or merge files with -c"),
    "external_links": refused("put both services on one external network instead"),
    "extra_hosts": takes("map|list"),
    "extra_hosts.[]": takes("string"),
    "extra_hosts.*": takes("list|string"),
    "extra_hosts.*.[]": takes("string"),
    "gpus": refused(f"{_DEVICE}; reserve deploy.resources.reservations.generic_resources"),
    "group_add": takes("list"),
    "group_add.[]": takes("scalar"),
    "healthcheck": takes("map|null"),
    "healthcheck.disable": takes("boolean"),
    "healthcheck.interval": takes("duration"),
    "healthcheck.retries": takes("integer"),
    "healthcheck.test": takes("list|string"),
    "healthcheck.test.[]": takes("string"),
    "healthcheck.timeout": takes("duration"),
    "healthcheck.start_period": takes("duration"),
    "healthcheck.start_interval": takes("duration"),
    "hostname": takes("string"),
    "image": takes("string"),
    "init": takes("boolean"),
    "ipc": refused(_HOST, "private"),
    "isolation": refused("isolation is for Windows containers", "default"),
    "label_file": takes("list|string"),
    "label_file.[]": takes("string"),
    **assignments("labels"),
    "links": refused("services of a network find each other by name; use networks and aliases"),
    "logging": takes("map|null"),
    "logging.driver": takes("string"),
    **options("logging.options"),
    "mac_address": refused(_ADDRESSES),
    "mem_limit": takes("size"),
    "mem_reservation": takes("size"),
    "mem_swappiness": refused(_LIMITS),
    "memswap_limit": refused(_LIMITS),
    "models": refused("models are not supported"),
    "network_mode": refused(f"{_HOST}; use networks"),
    "networks": takes("map|list"),
    "networks.[]": takes("string"),
    "networks.*": takes("map|null"),
    **strings("networks.*.aliases"),
    **options("networks.*.driver_opts"),
    "networks.*.interface_name": refused("interfaces are named by the cluster"),
    "networks.*.ipv4_address": refused(_ADDRESSES),
    "networks.*.ipv6_address": refused(_ADDRESSES),
    "networks.*.link_local_ips": refused(_ADDRESSES),
    "networks.*.mac_address": refused(_ADDRESSES),
    "networks.*.priority": refused("the order of a container's networks cannot be chosen"),
    "networks.*.gw_priority": refused("the default route of a container cannot be chosen"),
    "oom_kill_disable": refused("a container over its memory limit is always killed", False),
    "oom_score_adj": takes("integer"),
    "pid": refused(_HOST, None),
    "pids_limit": takes("integer"),
    "platform": takes("string"),
    "ports": takes("list"),
    "ports.[]": takes("map|scalar"),
    "ports.[].name": takes("string"),
    "ports.[].mode": takes("string", "ingress", "host"),
    "ports.[].host_ip": refused("a port is published on every address of the hosts", "", "0.0.0.0", "::"),
    "ports.[].target": takes("integer"),
    "ports.[].published": takes("scalar"),
    "ports.[].protocol": takes("string", "tcp", "udp", "sctp"),
    "ports.[].app_protocol": takes("string", note="has no effect: ports are forwarded, not proxied"),
    "post_start": refused("life-cycle hooks are not supported"),
    "pre_stop": refused("life-cycle hooks are not supported"),
    "privileged": refused("privileged containers are not supported; use cap_add", False),
    **strings("profiles"),
    "provider": refused("providers are not supported"),
    "pull_policy": refused("an image is resolved once, when a service is deployed", "missing", "if_not_present"),
    "pull_refresh_after": refused("an image is resolved once, when a service is deployed"),
    "read_only": takes("boolean"),
    "restart": takes("string"),
    "runtime": refused("the daemon chooses the container runtime"),
    "scale": takes("integer"),
    "secrets": refused(f"secrets {_FILES}"),
    **strings("security_opt"),
    "shm_size": takes("size"),
    "stdin_open": takes("boolean"),
    "stop_grace_period": takes("duration"),
    "stop_signal": takes("string"),
    "storage_opt": refused("the size of a container's layer cannot be bounded; use a volume"),
    **assignments("sysctls"),
    **one_or_more("tmpfs"),
    "tty": takes("boolean"),
    "ulimits": takes("map"),
    "ulimits.*": takes("map|integer", required=("soft", "hard")),
    "ulimits.*.soft": takes("integer"),
    "ulimits.*.hard": takes("integer"),
    "use_api_socket": refused("mount /run/argosy/docker.sock as a volume", False),
    "user": takes("string"),
    "userns_mode": refused("user namespaces are not supported"),
    "uts": refused(_HOST),
    "volumes": takes("list"),
    "volumes.[]": takes("map|string", required=("type", "target")),
    "volumes.[].type": takes("string", "bind", "volume", "tmpfs"),
    "volumes.[].source": takes("string"),
    "volumes.[].target": takes("string"),
    "volumes.[].read_only": takes("boolean"),
    "volumes.[].consistency": takes("string"),
    "volumes.[].bind": takes("map|null"),
    "volumes.[].bind.propagation": takes("string"),
    "volumes.[].bind.create_host_path": takes("boolean"),
    "volumes.[].bind.recursive": takes("string", "enabled", "disabled", "writable", "readonly"),
    "volumes.[].bind.selinux": refused("SELinux relabelling is not supported"),
    "volumes.[].volume": takes("map|null"),
    **assignments("volumes.[].volume.labels"),
    "volumes.[].volume.nocopy": takes("boolean"),
    "volumes.[].volume.subpath": takes("string"),
    "volumes.[].tmpfs": takes("map|null"),
    "volumes.[].tmpfs.size": takes("size"),
    "volumes.[].tmpfs.mode": takes("mode"),
    "volumes.[].image": refused("mounting images is not supported"),
    "volumes_from": refused("use a named volume in both services"),
    "working_dir": takes("string"),
}

DEPLOY: dict[str, Rule] = {
    "deploy": takes("map|null"),
    "deploy.mode": takes("string", "replicated", "global", "replicated-job", "global-job"),
    "deploy.endpoint_mode": takes("string", "vip", "dnsrr"),
    "deploy.replicas": takes("integer"),
    **assignments("deploy.labels"),
    **_update("deploy.update_config", "continue", "pause", "rollback"),
    **_update("deploy.rollback_config", "continue", "pause"),
    "deploy.resources": takes("map|null"),
    "deploy.resources.limits": takes("map|null"),
    "deploy.resources.limits.cpus": takes("number"),
    "deploy.resources.limits.memory": takes("size"),
    "deploy.resources.limits.pids": takes("integer"),
    "deploy.resources.reservations": takes("map|null"),
    "deploy.resources.reservations.cpus": takes("number"),
    "deploy.resources.reservations.memory": takes("size"),
    "deploy.resources.reservations.devices": refused(_DEVICE),
    "deploy.resources.reservations.generic_resources": takes("list"),
    "deploy.resources.reservations.generic_resources.[]": takes("map"),
    "deploy.resources.reservations.generic_resources.[].discrete_resource_spec": takes(
        "map", required=("kind", "value")
    ),
    "deploy.resources.reservations.generic_resources.[].discrete_resource_spec.kind": takes("string"),
    "deploy.resources.reservations.generic_resources.[].discrete_resource_spec.value": takes("integer"),
    "deploy.restart_policy": takes("map|null"),
    "deploy.restart_policy.condition": takes("string", "none", "on-failure", "any"),
    "deploy.restart_policy.delay": takes("duration"),
    "deploy.restart_policy.max_attempts": takes("integer"),
    "deploy.restart_policy.window": takes("duration"),
    "deploy.placement": takes("map|null"),
    **strings("deploy.placement.constraints"),
    "deploy.placement.preferences": takes("list"),
    "deploy.placement.preferences.[]": takes("map", required=("spread",)),
    "deploy.placement.preferences.[].spread": takes("string"),
    "deploy.placement.max_replicas_per_node": takes("integer"),
}

NETWORK: dict[str, Rule] = {
    "name": takes("string"),
    "driver": takes("string", "overlay", "default", ""),
    **options("driver_opts"),
    "ipam": takes("map|null"),
    "ipam.driver": takes("string", "default", ""),
    "ipam.config": takes("list|null"),
    "ipam.config.[]": takes("map"),
    "ipam.config.[].subnet": takes("string"),
    "ipam.config.[].ip_range": takes("string"),
    "ipam.config.[].gateway": takes("string"),
    **options("ipam.config.[].aux_addresses"),
    **options("ipam.options"),
    **external("external"),
    "internal": takes("boolean"),
    "enable_ipv4": refused("networks always have IPv4", True),
    "enable_ipv6": refused("IPv6 networks are not supported yet", False),
    "attachable": takes("boolean"),
    **assignments("labels"),
}

VOLUME: dict[str, Rule] = {
    "name": takes("string"),
    "driver": takes("string"),
    **options("driver_opts"),
    **external("external"),
    **assignments("labels"),
}

ATTRIBUTES: dict[str, Rule] = {
    **TOP,
    **{f"services.*.{path}": rule for path, rule in (CONTAINER | DEPLOY).items()},
    **{f"networks.*.{path}": rule for path, rule in NETWORK.items()},
    **{f"volumes.*.{path}": rule for path, rule in VOLUME.items()},
}
