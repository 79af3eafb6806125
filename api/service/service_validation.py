"""What is wrong with a spec, as a list of sentences that each begin with the field's path. Empty: nothing.

Pure, and about the spec alone: what needs the rest of the cluster (names taken, networks that exist, ports in use) is
checked where the spec is admitted (service_admission.py). What Argosy does not have is in unsupported.py.
Limits and texts: swarmkit manager/controlapi/{service,common,node}.go.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator

from api import image_reference
from api.codec import encode
from api.errors import Invalid
from api.field_names import SERVICE_NAME
from api.service import container_validation, free_form_options
from api.service import placement as constraints
from api.service.mounts import MOUNT_TYPES, PROPAGATIONS
from api.service.schedule import schedule_problems
from api.service.service_spec import (
    ContainerSpec,
    EndpointSpec,
    GenericResource,
    Healthcheck,
    Mount,
    NodeSpec,
    Placement,
    Resources,
    RestartPolicy,
    ServiceSpec,
    TaskSpec,
    UpdateConfig,
)
from api.service.templates import example, template_problems
from api.wire.host_bounds import MOST_SPEC

NAME_LENGTH = 63
HOST_GATEWAY = "host-gateway"
"""In place of an address in `Hosts`: the host that the task runs on."""
LEAST_CPU = 1_000_000
"""Nano-CPUs: 0.001 CPU."""
LEAST_MEMORY = 4 * 1024 * 1024
"""Bytes."""
LEAST_HEALTH_TIME = 1_000_000
"""Nanoseconds: Docker refuses health durations under a millisecond."""

Problems = Iterator[str]


def service_problems(spec: ServiceSpec) -> list[str]:
    """What is wrong with a service's spec."""
    if (size := len(encode(spec))) > MOST_SPEC:
        return [f"the spec has {size} bytes; at most {MOST_SPEC} can be sent to hosts"]
    if found := list(template_problems(spec)):
        return found
    return _expanded_problems(example(spec))


def _expanded_problems(spec: ServiceSpec) -> list[str]:
    """The same of a spec without templates."""
    return [
        *name_problems(spec.name, "service"),
        *label_problems("Labels", spec.labels),
        *_task_problems(spec.task_template),
        *_mode_problems(spec),
        *_update_problems("UpdateConfig", spec.update_config),
        *_update_problems("RollbackConfig", spec.rollback_config),
        *_endpoint_problems(spec.endpoint_spec),
        *container_validation.network_problems(spec),
        *_dependency_problems(spec),
        *schedule_problems(spec),
        *_history_problems(spec),
    ]


def _dependency_problems(spec: ServiceSpec) -> Problems:
    seen: set[str] = set()
    for number, item in enumerate(spec.depends_on):
        where = f"DependsOn[{number}].Service"
        if not SERVICE_NAME.fullmatch(item.service):
            yield f"{where}: {item.service!r} is no name of a service"
        elif item.service == spec.name:
            yield f"{where}: a service cannot wait for itself"
        elif item.service in seen:
            yield f"{where}: {item.service} is given twice"
        seen.add(item.service)


def _history_problems(spec: ServiceSpec) -> Problems:
    if spec.revision_history is not None and not 1 <= spec.revision_history <= 1000:
        yield f"RevisionHistory: {spec.revision_history} is not from 1 to 1000"


def name_problems(name: str, what: str) -> Problems:
    """A service's name is also a DNS label."""
    if not name:
        yield f"Name: a {what} needs a name"
    elif len(name) > NAME_LENGTH:
        yield f"Name: {name[:20]}… has {len(name)} characters; a name must be {NAME_LENGTH} characters or fewer"
    elif not SERVICE_NAME.fullmatch(name):
        yield f"Name: {name!r} must be valid as a DNS name component (letters, digits, '-' and '_' between them)"


def node_problems(spec: NodeSpec) -> list[str]:
    """What is wrong with a node's spec."""
    return list(label_problems("Labels", spec.labels))


# ── tasks ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _task_problems(task: TaskSpec) -> Problems:
    path = "TaskTemplate"
    if driver := task.log_driver:
        yield from free_form_options.log_option_problems(f"{path}.LogDriver.Options", driver.name, driver.options)
    yield from _container_problems(f"{path}.ContainerSpec", task.container_spec)
    limits = task.resources.limits if task.resources else None
    yield from container_validation.container_problems(f"{path}.ContainerSpec", task.container_spec, limits)
    yield from _resource_problems(f"{path}.Resources", task.resources)
    yield from _restart_problems(f"{path}.RestartPolicy", task.restart_policy)
    yield from _placement_problems(f"{path}.Placement", task.placement)
    seen: set[str] = set()
    for number, network in enumerate(task.networks):
        if not network.target:
            yield f"{path}.Networks[{number}].Target: no network is named"
        elif network.target in seen:
            yield f"{path}.Networks[{number}].Target: network {network.target} is given twice"
        seen.add(network.target)
    if task.force_update < 0:
        yield f"{path}.ForceUpdate: must not be negative"


def _container_problems(path: str, spec: ContainerSpec) -> Problems:
    if not spec.image:
        yield f"{path}.Image: image reference must be provided"
    else:
        yield from _says(f"{path}.Image", image_reference.parse, spec.image)
    yield from label_problems(f"{path}.Labels", spec.labels)
    yield from _mount_problems(f"{path}.Mounts", spec.mounts)
    yield from _health_problems(f"{path}.Healthcheck", spec.healthcheck)
    for number, entry in enumerate(spec.env):
        if not entry or entry.startswith("="):
            yield f"{path}.Env[{number}]: {entry!r} has no name; it must be NAME=VALUE"
    for number, line in enumerate(spec.hosts):
        address, _, names = line.partition(" ")
        if not (is_address(address) or address == HOST_GATEWAY) or not names.strip():
            yield f"{path}.Hosts[{number}]: {line!r} is not of the form 'ADDRESS NAME …'"
    for number, server in enumerate(spec.dns_config.nameservers if spec.dns_config else ()):
        if not is_address(server):
            yield f"{path}.DNSConfig.Nameservers[{number}]: {server!r} is not an IP address"
    if dns := spec.dns_config:
        yield from free_form_options.line_problems(f"{path}.DNSConfig", _numbered("Search", dns.search))
        yield from free_form_options.line_problems(f"{path}.DNSConfig", _numbered("Options", dns.options))
    yield from free_form_options.line_problems(path, {".Hostname": spec.hostname, ".Domainname": spec.domainname})
    yield from free_form_options.line_problems(path, _numbered("Hosts", spec.hosts))
    yield from _sysctl_problems(f"{path}.Sysctls", spec)
    for limit in spec.ulimits:
        if limit.name.lower() not in free_form_options.ULIMITS:
            yield f"{path}.Ulimits: {limit.name!r} is none of {', '.join(sorted(free_form_options.ULIMITS))}"
        elif limit.hard != -1 and not -1 <= limit.soft <= limit.hard:
            yield f"{path}.Ulimits: {limit.name}: the soft limit ({limit.soft}) exceeds the hard one ({limit.hard})"
    if spec.stop_grace_period is not None and spec.stop_grace_period < 0:
        yield f"{path}.StopGracePeriod: must not be negative"
    if not -1000 <= spec.oom_score_adj <= 1000:
        yield f"{path}.OomScoreAdj: {spec.oom_score_adj} is not from -1000 to 1000"


def _numbered(name: str, texts: Iterable[str]) -> dict[str, str]:
    return {f".{name}[{number}]": text for number, text in enumerate(texts)}


def _sysctl_problems(path: str, spec: ContainerSpec) -> Problems:
    host_ipc = bool(spec.host_config and spec.host_config.ipc_mode == "host")
    # whether it is on the host's network is the service's to say: hostproblems.network_problems
    yield from free_form_options.sysctl_problems(path, spec.sysctls, host_network=False, host_ipc=host_ipc)


def _mount_problems(path: str, mounts: list[Mount]) -> Problems:
    seen: set[str] = set()
    for number, mount in enumerate(mounts):
        here = f"{path}[{number}]"
        if mount.type not in MOUNT_TYPES:
            continue  # refused, whatever it says
        if not mount.target.startswith("/"):
            yield f"{here}.Target: {mount.target!r} must be an absolute path"
        target = mount.target.rstrip("/")
        if target == "" and mount.target:
            yield f"{here}.Target: invalid mount target, must not be /"
        if target in seen:
            yield f"{here}.Target: duplicate mount point: {mount.target}"
        seen.add(target)
        if mount.type == "bind" and not mount.source.startswith("/"):
            yield f"{here}.Source: invalid bind mount source, must be an absolute path: {mount.source!r}"
        if mount.type == "tmpfs" and mount.source:
            yield f"{here}.Source: invalid tmpfs source, source must be empty"
        if mount.type == "volume" and ("/" in mount.source or mount.source in (".", "..")):
            yield f"{here}.Source: {mount.source!r} is not a volume name; for a host path use type bind"
        if mount.bind_options and mount.bind_options.propagation not in ("", *PROPAGATIONS):
            words = ", ".join(PROPAGATIONS)
            yield f"{here}.BindOptions.Propagation: {mount.bind_options.propagation!r} is not one of {words}"
        driver = mount.volume_options.driver_config if mount.volume_options else None
        if driver and driver.name in ("", "local"):
            yield from free_form_options.volume_option_problems(
                f"{here}.VolumeOptions.DriverConfig.Options", driver.options
            )
        if mount.tmpfs_options and mount.tmpfs_options.size_bytes < 0:
            yield f"{here}.TmpfsOptions.SizeBytes: must not be negative"


def _health_problems(path: str, check: Healthcheck | None) -> Problems:
    if check is None:
        return
    if check.test and check.test[0] not in ("", "NONE", "CMD", "CMD-SHELL"):
        yield f"{path}.Test: begins with {check.test[0]!r}; NONE, CMD or CMD-SHELL is needed"
    for name in ("interval", "timeout", "start_period", "start_interval"):
        value = getattr(check, name)
        if value != 0 and value < LEAST_HEALTH_TIME:
            yield f"{path}.{name.title().replace('_', '')}: {value} ns cannot be less than 1ms"
    if check.retries < 0:
        yield f"{path}.Retries: must not be negative"


def _resource_problems(path: str, resources: Resources | None) -> Problems:
    if resources is None:
        return
    for name, part in (("Limits", resources.limits), ("Reservations", resources.reservations)):
        if part is None:
            continue
        if part.nano_cpus != 0 and part.nano_cpus < LEAST_CPU:
            yield f"{path}.{name}.NanoCPUs: invalid cpu value {part.nano_cpus / 1e9:g}: Must be at least 0.001"
        if part.memory_bytes != 0 and part.memory_bytes < LEAST_MEMORY:
            yield f"{path}.{name}.MemoryBytes: invalid memory value {part.memory_bytes}: Must be at least 4MiB"
    if resources.limits and resources.limits.pids < -1:
        yield f"{path}.Limits.Pids: must not be negative, but for -1, which is no limit; 0 is the host's default"
    yield from _limit_below_reservation(path, resources)
    for number, generic in enumerate(resources.reservations.generic_resources if resources.reservations else ()):
        yield from _generic_problems(f"{path}.Reservations.GenericResources[{number}]", generic)


def _generic_problems(path: str, generic: GenericResource) -> Problems:
    named, counted = generic.named_resource_spec, generic.discrete_resource_spec
    if (named is None) == (counted is None):
        yield f"{path}: exactly one of NamedResourceSpec and DiscreteResourceSpec is needed"
    elif named is not None and not (named.kind and named.value):
        yield f"{path}.NamedResourceSpec: both Kind and Value are needed"
    elif counted is not None and not (counted.kind and counted.value > 0):
        yield f"{path}.DiscreteResourceSpec: a Kind, and a Value of at least 1, are needed"


def _limit_below_reservation(path: str, resources: Resources) -> Problems:
    limits, reserved = resources.limits, resources.reservations
    if limits is None or reserved is None:
        return
    if 0 < limits.memory_bytes < reserved.memory_bytes:
        yield f"{path}.Limits.MemoryBytes: less than what is reserved ({reserved.memory_bytes})"
    if 0 < limits.nano_cpus < reserved.nano_cpus:
        yield f"{path}.Limits.NanoCPUs: less than what is reserved ({reserved.nano_cpus})"


def _restart_problems(path: str, policy: RestartPolicy | None) -> Problems:
    if policy is None:
        return
    for name, value in (
        ("Delay", policy.delay),
        ("MaxAttempts", policy.max_attempts),
        ("Window", policy.window),
    ):
        if value is not None and value < 0:
            yield f"{path}.{name}: must not be negative"


def _placement_problems(path: str, placement: Placement | None) -> Problems:
    if placement is None:
        return
    for number, text in enumerate(placement.constraints):
        yield from _says(f"{path}.Constraints[{number}]", lambda one: constraints.parse([one]), text)
    if placement.max_replicas < 0:
        yield f"{path}.MaxReplicas: must not be negative; 0 is no limit"
    for number, preference in enumerate(placement.preferences):
        over = preference.spread.spread_descriptor if preference.spread else ""
        if not constraints.is_key(over):
            yield f"{path}.Preferences[{number}].Spread.SpreadDescriptor: {over!r} is no node attribute to spread over"


# ── the rest of a service ────────────────────────────────────────────────────────────────────────────────────────


def _mode_problems(spec: ServiceSpec) -> Problems:
    mode = spec.mode
    given = [m for m in (mode.replicated, mode.global_, mode.replicated_job, mode.global_job) if m is not None]
    if len(given) > 1:
        yield "Mode: must specify only one service mode"
    if mode.replicated and (mode.replicated.replicas or 0) < 0:
        yield "Mode.Replicated.Replicas: number of replicas must be non-negative"
    if (mode.replicated_job or mode.global_job) and (spec.update_config or spec.rollback_config):
        yield "UpdateConfig, RollbackConfig: may not be used with a job; every update starts it anew"
    if job := mode.replicated_job:
        if (job.max_concurrent or 0) < 0:
            yield "Mode.ReplicatedJob.MaxConcurrent: must not be negative"
        if (job.total_completions or 0) < 0:
            yield "Mode.ReplicatedJob.TotalCompletions: must not be negative"


def _update_problems(path: str, config: UpdateConfig | None) -> Problems:
    if config is None:
        return
    if (config.parallelism or 0) < 0:
        yield f"{path}.Parallelism: must not be negative; 0 is all at once"
    if config.delay < 0:
        yield f"{path}.Delay: update-delay cannot be negative"
    if (config.monitor or 0) < 0:
        yield f"{path}.Monitor: update-monitor cannot be negative"
    if config.progress_deadline is not None and config.progress_deadline <= 0:
        yield f"{path}.ProgressDeadline: must be more than 0; leave it out for 10 minutes"
    if not 0 <= config.max_failure_ratio <= 1:
        yield f"{path}.MaxFailureRatio: update-maxfailureratio cannot be less than 0 or bigger than 1"
    if path == "RollbackConfig" and config.failure_action == "rollback":
        yield f"{path}.FailureAction: a rollback cannot be rolled back; pause or continue"


def _endpoint_problems(endpoint: EndpointSpec | None) -> Problems:
    if endpoint is None:
        return
    taken: dict[tuple[str, int], set[str]] = {}
    for number, port in enumerate(endpoint.ports):
        here = f"EndpointSpec.Ports[{number}]"
        if not 1 <= port.target_port <= 65535:
            yield f"{here}.TargetPort: {port.target_port} is not from 1 to 65535"
        if not 0 <= port.published_port <= 65535:
            yield f"{here}.PublishedPort: {port.published_port} is not from 1 to 65535 (or 0 for any)"
        if endpoint.mode == "dnsrr" and port.publish_mode == "ingress":
            yield f"{here}: port published with ingress mode can't be used with dnsrr mode"
        others = taken.setdefault((port.protocol, port.published_port), set())
        # no address is every address
        if port.published_port and others and (not port.host_ip or not others.isdisjoint({port.host_ip, ""})):
            yield f"{here}: duplicate published ports provided: {port.published_port}/{port.protocol}"
        others.add(port.host_ip)


# ── small parts ──────────────────────────────────────────────────────────────────────────────────────────────────


def label_problems(path: str, labels: Iterable[str]) -> Problems:
    """What is wrong with labels: a key that is empty."""
    if any(not key.strip() for key in labels):
        yield f"{path}: a label has no name"


def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _says(path: str, parse: Callable[[str], object], text: str) -> Problems:
    try:
        parse(text)
    except Invalid as error:
        yield f"{path}: {error}"
