"""What is wrong with a service's spec, as a list of sentences that each begin with the field's path. Empty: nothing.

Pure, and about the spec alone: what needs the rest of the cluster (names taken, networks that exist, ports in use) is
checked where the spec is admitted (manager/http/services/service_admission.py). What Argosy does not have is in
api/service/unsupported.py. Limits and texts: swarmkit manager/controlapi/{service,common}.go.
"""

from __future__ import annotations

import ipaddress
import re

from api import defaults
from api.codec import encode
from api.errors import Invalid
from api.field_rules import Problems, label_problems, name_problems, parse_problems
from api.ids import SERVICE_NAME
from api.service import cron, free_form_options
from api.service.container_validation import container_problems
from api.service.cron import zone
from api.service.free_form_options import sysctl_problems
from api.service.mode import ModeKind
from api.service.placement import Placement, is_key, parse
from api.service.ports import EndpointSpec
from api.service.resources import GenericResource, Resources
from api.service.schedule import Schedule, of_labels
from api.service.service_spec import NO_NETWORK, NetworkTarget, RestartPolicy, ServiceSpec, TaskSpec, UpdateConfig
from api.service.templates import example, template_problems

MOST_SPEC = 2 << 20
"""Bytes of a spec, encoded: with its envelope it fits into one message to a host (api/wire/host_bounds.py)."""
LEAST_CPU = 1_000_000
"""Nano-CPUs: 0.001 CPU."""
LEAST_MEMORY = 4 * 1024 * 1024
"""Bytes."""
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")


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
        *_network_problems(spec),
        *_dependency_problems(spec),
        *_schedule_problems(spec),
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


# ── tasks ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _task_problems(task: TaskSpec) -> Problems:
    path = "TaskTemplate"
    if driver := task.log_driver:
        yield from free_form_options.log_option_problems(f"{path}.LogDriver.Options", driver.name, driver.options)
    limits = task.resources.limits if task.resources else None
    yield from container_problems(f"{path}.ContainerSpec", task.container_spec, limits)
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
        yield from parse_problems(f"{path}.Constraints[{number}]", lambda one: parse([one]), text)
    if placement.max_replicas < 0:
        yield f"{path}.MaxReplicas: must not be negative; 0 is no limit"
    for number, preference in enumerate(placement.preferences):
        over = preference.spread.spread_descriptor if preference.spread else ""
        if not is_key(over):
            yield f"{path}.Preferences[{number}].Spread.SpreadDescriptor: {over!r} is no node attribute to spread over"


# ── the rest of a service ────────────────────────────────────────────────────────────────────────────────────────


def _mode_problems(spec: ServiceSpec) -> Problems:
    mode = spec.mode
    given = [m for m in (mode.replicated, mode.global_, mode.replicated_job, mode.global_job) if m is not None]
    if len(given) > 1:
        yield "Mode: must specify only one service mode"
    if mode.replicated and (mode.replicated.replicas or 0) < 0:
        yield "Mode.Replicated.Replicas: number of replicas must be non-negative"
    if spec.is_job and (spec.update_config or spec.rollback_config):
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


def _schedule_problems(spec: ServiceSpec) -> Problems:
    """What is wrong with a service's schedule, each with the path of the field or label."""
    where, schedule = "Schedule", spec.schedule
    if schedule is None:
        where = "Labels"
        try:
            schedule = of_labels(spec.labels)
        except Invalid as error:
            yield f"{where}: {error}"
    if schedule is None:
        return
    if not spec.is_job:
        yield f"{where}: only jobs can have a schedule; set the mode to replicated-job or global-job"
    if spec.mode_kind is ModeKind.GLOBAL_JOB and schedule.overlap == "allow":
        yield f"{where}.Overlap: runs of a global job cannot overlap; use forbid or replace"
    yield from _schedule_value_problems(where, schedule)


def _schedule_value_problems(where: str, schedule: Schedule) -> Problems:
    for name, check in (("Cron", lambda: cron.parse(schedule.cron)), ("TimeZone", lambda: zone(schedule.time_zone))):
        try:
            check()
        except Invalid as error:
            yield f"{where}.{name}: {error}"
    for name, time in (("MissedWindow", schedule.missed_window), ("ActiveDeadline", schedule.active_deadline)):
        if time is not None and time < defaults.SECOND:
            yield f"{where}.{name}: {time} ns is too short; a second at least is needed"
    if schedule.history is not None and not 1 <= schedule.history <= 1000:
        yield f"{where}.History: {schedule.history} is not from 1 to 1000"


def _network_problems(spec: ServiceSpec) -> Problems:
    """Addresses of a service's own, and networks that are none."""
    targets = spec.network_targets
    bare = [target.target for target in targets if target.target in NO_NETWORK]
    if bare and len(targets) > 1:
        yield f"TaskTemplate.Networks: {bare[0]} cannot be combined with other networks"
    if "host" in bare:
        sysctls = spec.task_template.container_spec.sysctls
        where = "TaskTemplate.ContainerSpec.Sysctls"
        yield from sysctl_problems(where, sysctls, host_network=True, host_ipc=False)
    if bare and spec.ports:
        why = "it has no network" if bare[0] == "none" else "on the host's network its ports are the host's anyway"
        yield f"EndpointSpec.Ports: a service on network {bare[0]} cannot publish ports: {why}"
    for number, target in enumerate(targets):
        if target.mac_address or target.ipv4_address:
            yield from _own_address(f"TaskTemplate.Networks[{number}]", target, spec)
    for number, port in enumerate(spec.ports):
        if port.host_ip and not _is_ipv4(port.host_ip):
            yield f"EndpointSpec.Ports[{number}].HostIP: {port.host_ip!r} is not an IPv4 address"


def _own_address(path: str, target: NetworkTarget, spec: ServiceSpec) -> Problems:
    what = "IPv4Address" if target.ipv4_address else "MacAddress"
    if target.target in NO_NETWORK:
        yield f"{path}.{what}: network {target.target} has no addresses to give"
    if not spec.is_replicated or spec.replicas > 1:
        yield f"{path}.{what}: only a service of one replica can have an address of its own"
    for name, config in (("UpdateConfig", spec.update_config), ("RollbackConfig", spec.rollback_config)):
        if config and config.order == "start-first":
            yield f"{path}.{what}: two tasks would have it at once with {name}.Order start-first; use stop-first"
    if target.ipv4_address and not _is_ipv4(target.ipv4_address):
        yield f"{path}.IPv4Address: {target.ipv4_address!r} is not an IPv4 address"
    if target.mac_address and not (_MAC.fullmatch(target.mac_address) and not int(target.mac_address[1], 16) & 1):
        yield f"{path}.MacAddress: {target.mac_address!r} is not the MAC address of an interface (02:42:ac:11:00:02)"


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
