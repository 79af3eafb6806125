"""The attribute table: the attributes of a service."""

from __future__ import annotations

from compose.table.rule import (
    Table,
    assignments,
    device_requests,
    files,
    hook,
    hosts,
    one_or_more,
    options,
    refused,
    refused_whole,
    strings,
    takes,
    ulimits,
)

_INIT_JOBS = "each step is a job of the stack that the service waits for, on any host: local volumes are the host's own"

_WINDOWS = "it is for Windows containers; use cpus"
_MODELS = "models are run by Docker Desktop; run the model as a service of its own"
_OWN_ADDRESS = "the cluster gives containers these addresses"
_RATES = ("device_read_bps", "device_read_iops", "device_write_bps", "device_write_iops")
_RENEWED = "an image's tag is resolved once, when its service is deployed; deploy again to renew it"
_NAMED = "containers are named STACK_SERVICE.SLOT.TASK; the others find them by this name too"

BLKIO: Table = {
    "blkio_config": takes("map|null"),
    "blkio_config.weight": takes("integer"),
    "blkio_config.weight_device": takes("list"),
    "blkio_config.weight_device.[]": takes("map", required=("path", "weight")),
    "blkio_config.weight_device.[].path": takes("string"),
    "blkio_config.weight_device.[].weight": takes("integer"),
}
for _rate in _RATES:
    BLKIO |= {
        f"blkio_config.{_rate}": takes("list"),
        f"blkio_config.{_rate}.[]": takes("map", required=("path", "rate")),
        f"blkio_config.{_rate}.[].path": takes("string"),
        f"blkio_config.{_rate}.[].rate": takes("size"),
    }

CGROUP: Table = {
    "cgroup": takes("string", "host", "private"),
    "cgroup_parent": takes("string"),
    "cpu_count": refused(_WINDOWS),
    "cpu_percent": refused(_WINDOWS),
    "cpu_period": takes("microseconds"),
    "cpu_quota": takes("microseconds"),
    "cpu_rt_period": takes("microseconds"),
    "cpu_rt_runtime": takes("microseconds"),
    "cpu_shares": takes("integer"),
    "cpus": takes("number"),
    "cpuset": takes("scalar"),
    "mem_limit": takes("size"),
    "mem_reservation": takes("size", how="also counts for placement, as deploy.resources.reservations.memory does"),
    "mem_swappiness": takes("integer"),
    "memswap_limit": takes("size"),
    "oom_kill_disable": takes("boolean"),
    "oom_score_adj": takes("integer"),
    "pids_limit": takes("integer"),
    **BLKIO,
}

NETWORK_USE: Table = {
    "networks": takes("map|list|null"),
    "networks.[]": takes("string"),
    "networks.*": takes("map|null"),
    **strings("networks.*.aliases"),
    **refused_whole("networks.*.driver_opts", "endpoints have no options of their own", "*"),
    "networks.*.interface_name": refused("interfaces are named by the cluster"),
    "networks.*.ipv4_address": takes("string", how="for a service of one replica"),
    "networks.*.ipv6_address": refused(_OWN_ADDRESS),
    "networks.*.link_local_ips": refused(_OWN_ADDRESS),
    "networks.*.link_local_ips.[]": refused(_OWN_ADDRESS),
    "networks.*.mac_address": takes("string", how="for a service of one replica"),
    "networks.*.priority": refused("the order of a container's networks cannot be chosen", 0),
    "networks.*.gw_priority": refused("the default route of a container cannot be chosen", 0),
    "network_mode": takes("string", how="`host` and `none`; `bridge` is the stack's default network"),
    "mac_address": takes("string", how="for a service of one replica on one network"),
    "ports": takes("list|null"),
    "ports.[]": takes("map|scalar"),
    "ports.[].name": takes("string"),
    "ports.[].mode": takes("string", "ingress", "host"),
    "ports.[].host_ip": takes(
        "string", how="an IPv4 address: each host answers at it, when it has it, and at no other"
    ),
    "ports.[].target": takes("integer"),
    "ports.[].published": takes("scalar", how="of a range every port is published, as Swarm has it"),
    "ports.[].protocol": takes("string", "tcp", "udp", "sctp"),
    "ports.[].app_protocol": takes("string", how="taken note of: ports are forwarded, not proxied"),
    **strings("expose", how="taken note of: services of a network reach all of each other's ports"),
    **strings("links", how="a network alias of the other service, which everybody on the shared network sees"),
    "external_links.[]": refused("put both services on one external network instead"),
    "external_links": refused("put both services on one external network instead"),
}

MOUNTS: Table = {
    "volumes": takes("list|null"),
    "volumes.[]": takes("map|string", required=("type", "target")),
    "volumes.[].type": takes("string", "bind", "volume", "tmpfs", how="not `image`, `cluster` and `npipe`"),
    "volumes.[].source": takes("string", how="relative paths are the client's; the path is mounted on the task's host"),
    "volumes.[].target": takes("string"),
    "volumes.[].read_only": takes("boolean"),
    "volumes.[].consistency": takes("string", how="taken note of: it is for Docker Desktop"),
    "volumes.[].bind": takes("map|null"),
    "volumes.[].bind.propagation": takes("string", "shared", "rshared", "slave", "rslave", "private", "rprivate", ""),
    "volumes.[].bind.create_host_path": takes(
        "boolean", how="only where it is said: a path that a host lacks is an error, not an empty directory"
    ),
    "volumes.[].bind.recursive": takes("string", "enabled", "disabled", "writable", "readonly"),
    "volumes.[].bind.selinux": takes(
        "string", "z", "Z", how="taken note of: containers are not confined by SELinux, so their files need no label"
    ),
    "volumes.[].volume": takes("map|null"),
    **assignments("volumes.[].volume.labels"),
    "volumes.[].volume.nocopy": takes("boolean"),
    "volumes.[].volume.subpath": takes("string"),
    "volumes.[].tmpfs": takes("map|null"),
    "volumes.[].tmpfs.size": takes("size"),
    "volumes.[].tmpfs.mode": takes("mode"),
    **refused_whole("volumes.[].image", "mounting images is not supported; use a volume", "subpath"),
    **one_or_more("tmpfs"),
    **strings("volumes_from", how="named volumes and bind mounts of other services; not of containers"),
}

TEXT: Table = {
    **one_or_more("command", how="an empty one is the image's own"),
    **one_or_more("entrypoint"),
    **one_or_more("dns"),
    **strings("dns_opt"),
    **one_or_more("dns_search"),
    "domainname": takes("string"),
    "env_file": takes("list|string|null"),
    "env_file.[]": takes("map|string", required=("path",)),
    "env_file.[].path": takes("string"),
    "env_file.[].required": takes("boolean"),
    "env_file.[].format": takes("string", "", "raw"),
    **assignments("environment"),
    **hosts("extra_hosts"),
    "hostname": takes("string"),
    "image": takes("string"),
    "label_file": takes("list|string|null"),
    "label_file.[]": takes("string"),
    **assignments("labels"),
    **assignments("annotations"),
    "container_name": takes("string", note=_NAMED),
    "user": takes("scalar"),
    "working_dir": takes("string"),
}

LIFE: Table = {
    "attach": takes("boolean", note="has no effect on a deployed service; it is for `docker compose up`"),
    "depends_on": takes("map|list|null"),
    "depends_on.[]": takes("string"),
    "depends_on.*": takes("map", required=("condition",)),
    "depends_on.*.condition": takes("string", "service_started", "service_healthy", "service_completed_successfully"),
    "depends_on.*.required": takes("boolean"),
    "depends_on.*.restart": takes("boolean"),
    "extends": takes("map|string", required=("service",)),
    "extends.service": takes("string"),
    "extends.file": takes("string"),
    "healthcheck": takes("map|null"),
    "healthcheck.disable": takes("boolean"),
    "healthcheck.interval": takes("duration"),
    "healthcheck.retries": takes("integer"),
    "healthcheck.test": takes("list|string"),
    "healthcheck.test.[]": takes("scalar"),
    "healthcheck.timeout": takes("duration"),
    "healthcheck.start_period": takes("duration"),
    "healthcheck.start_interval": takes("duration"),
    "init": takes("boolean"),
    "logging": takes("map|null"),
    "logging.driver": takes("string", how="json-file, local and none"),
    **options("logging.options"),
    "platform": takes("string"),
    "post_start": takes("list|null"),
    **hook("post_start.[]"),
    "pre_start": takes("list|null", how=_INIT_JOBS),
    **hook("pre_start.[]"),
    "pre_start.[].image": takes("string"),
    "pre_start.[].per_replica": refused("a step runs once for the service, not for each replica", False),
    "pre_stop": takes("list|null"),
    **hook("pre_stop.[]"),
    **strings("profiles"),
    "pull_policy": takes(
        "string",
        how=f"`build` is `missing`; `refresh`, `daily`, `weekly` and `every_…` are refused: {_RENEWED}",
    ),
    "pull_refresh_after": refused(_RENEWED),
    "restart": takes(
        "string",
        how="`unless-stopped` is `always`: a service is never stopped by hand; deploy.restart_policy comes first",
    ),
    "scale": takes("integer"),
    "stdin_open": takes("boolean"),
    "stop_grace_period": takes("duration"),
    "stop_signal": takes("string"),
    "tty": takes("boolean"),
}

PRIVILEGE: Table = {
    **strings("cap_add"),
    **strings("cap_drop"),
    **strings("device_cgroup_rules"),
    "devices": takes("list|null"),
    "devices.[]": takes("map|string", required=("source",)),
    "devices.[].source": takes("string"),
    "devices.[].target": takes("string"),
    "devices.[].permissions": takes("string"),
    **device_requests("gpus", "string"),
    "group_add": takes("list|null"),
    "group_add.[]": takes("scalar"),
    "ipc": takes("string", how="`private`, `shareable`, `host` and `none`; not another service's"),
    "isolation": refused("isolation is for Windows containers", "default"),
    "pid": takes("string|null", how="`host`; not another service's"),
    "privileged": takes("boolean"),
    "read_only": takes("boolean"),
    "runtime": takes("string", how="runc or crun"),
    **strings("security_opt", how="no-new-privileges, seccomp, apparmor, label:disable and systempaths=unconfined"),
    "shm_size": takes("size"),
    "storage_opt": refused("the size of a container's layer cannot be bounded; use a volume"),
    **assignments("sysctls"),
    **ulimits("ulimits"),
    "use_api_socket": takes("boolean", how="the host's /run/argosy/docker.sock is mounted at /var/run/docker.sock"),
    "userns_mode": takes("string", "host", "", how="`host`, which is always so"),
    "uts": takes("string", "host", ""),
    **refused_whole("credential_spec", "credential specs are for Windows containers", "config", "file", "registry"),
}

_PROVIDERS = "there are no providers; run what it would provide as a service, or outside"

CONTAINER: Table = {
    **TEXT,
    **LIFE,
    **CGROUP,
    **NETWORK_USE,
    **MOUNTS,
    **PRIVILEGE,
    **files("secrets"),
    **files("configs"),
    **refused_whole("models", _MODELS, "[]", "*", "*.endpoint_var", "*.model_var"),
    **refused_whole("provider", _PROVIDERS, "type", "options", "options.*", "options.*.[]"),
}
