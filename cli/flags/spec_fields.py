"""The fields of a ServiceSpec that flags of `service create` and `service update` set: two tables and a setter.

SCALARS sets one value; LISTS are sets of entries, to which `update` adds (--x-add) and from which it removes (--x-rm).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from api.service import service_spec
from api.service.container import DNSConfig, Driver, Healthcheck
from api.service.placement import Placement
from api.service.ports import EndpointSpec
from api.service.resources import Limits, Reservations, Resources
from api.service.schedule import Schedule
from api.service.service_spec import ServiceSpec
from cli.command_errors import BadArgument
from cli.flags import flag_values, stored_file_flags

T = TypeVar("T", bound=msgspec.Struct)

_EMPTY: dict[str, msgspec.Struct] = {
    "resources": Resources(),
    "limits": Limits(),
    "reservations": Reservations(),
    "restart_policy": service_spec.RestartPolicy(),
    "placement": Placement(),
    "healthcheck": Healthcheck(),
    "dns_config": DNSConfig(),
    "log_driver": Driver(),
    "update_config": service_spec.UpdateConfig(),
    "rollback_config": service_spec.UpdateConfig(),
    "endpoint_spec": EndpointSpec(),
    "schedule": Schedule(),
}
"""The part that is created when one of its fields is set."""

CONTAINER = "task_template.container_spec"
LIMITS = "task_template.resources.limits"
RESERVED = "task_template.resources.reservations"
RESTART = "task_template.restart_policy"
PLACEMENT = "task_template.placement"
HEALTH = f"{CONTAINER}.healthcheck"

SCALARS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "hostname": (f"{CONTAINER}.hostname", str),
    "user": (f"{CONTAINER}.user", str),
    "workdir": (f"{CONTAINER}.dir", str),
    "entrypoint": (f"{CONTAINER}.command", flag_values.words),
    "init": (f"{CONTAINER}.init", bool),
    "read_only": (f"{CONTAINER}.read_only", bool),
    "tty": (f"{CONTAINER}.tty", bool),
    "stop_signal": (f"{CONTAINER}.stop_signal", str),
    "stop_grace_period": (f"{CONTAINER}.stop_grace_period", flag_values.duration),
    "oom_score_adj": (f"{CONTAINER}.oom_score_adj", int),
    "health_cmd": (f"{HEALTH}.test", lambda text: ["CMD-SHELL", text]),
    "health_interval": (f"{HEALTH}.interval", flag_values.duration),
    "health_timeout": (f"{HEALTH}.timeout", flag_values.duration),
    "health_start_period": (f"{HEALTH}.start_period", flag_values.duration),
    "health_start_interval": (f"{HEALTH}.start_interval", flag_values.duration),
    "health_retries": (f"{HEALTH}.retries", int),
    "limit_cpu": (f"{LIMITS}.nano_cpus", flag_values.cpus),
    "limit_memory": (f"{LIMITS}.memory_bytes", flag_values.size),
    "limit_pids": (f"{LIMITS}.pids", int),
    "reserve_cpu": (f"{RESERVED}.nano_cpus", flag_values.cpus),
    "reserve_memory": (f"{RESERVED}.memory_bytes", flag_values.size),
    "restart_condition": (f"{RESTART}.condition", str),
    "restart_delay": (f"{RESTART}.delay", flag_values.duration),
    "restart_max_attempts": (f"{RESTART}.max_attempts", int),
    "restart_window": (f"{RESTART}.window", flag_values.duration),
    "replicas_max_per_node": (f"{PLACEMENT}.max_replicas", int),
    "endpoint_mode": ("endpoint_spec.mode", str),
    "log_driver": ("task_template.log_driver.name", str),
    "schedule": ("schedule.cron", str),
    "schedule_time_zone": ("schedule.time_zone", str),
    "schedule_overlap": ("schedule.overlap", str),
    "schedule_missed_window": ("schedule.missed_window", flag_values.duration),
    "schedule_active_deadline": ("schedule.active_deadline", flag_values.duration),
    "schedule_history": ("schedule.history", int),
    "schedule_suspend": ("schedule.suspend", bool),
    "revision_history": ("revision_history", int),
    "rebalance": ("rebalance", bool),
    **{
        f"{kind}_{flag}": (f"{kind}_config.{field}", read)
        for kind in ("update", "rollback")
        for flag, field, read in (
            ("parallelism", "parallelism", int),
            ("delay", "delay", flag_values.duration),
            ("failure_action", "failure_action", str),
            ("monitor", "monitor", flag_values.duration),
            ("max_failure_ratio", "max_failure_ratio", float),
            ("order", "order", str),
            ("progress_deadline", "progress_deadline", flag_values.duration),
        )
    },
}


@dataclass(frozen=True, slots=True)
class Entries:
    """A list or mapping. `read` makes entries of one flag's text; --x-rm names one by its `key`, or its `alias`."""

    path: str
    read: Callable[[str], list[Any]]
    key: Callable[[Any], str] = str
    is_mapping: bool = False
    alias: Callable[[Any], str] | None = None
    as_key: Callable[[str], str] = str
    """Turns the value of --x-rm into a key."""
    removable: bool = True
    """Whether `update` has --x-add and --x-rm."""
    opposite: str = ""
    """The list with the opposite meaning: an entry found there is removed there, and not added here."""

    def names_of(self, item: Any) -> set[str]:
        """The names by which --x-rm finds an entry."""
        return {self.key(item), *([self.alias(item)] if self.alias else [])}


LISTS: dict[str, Entries] = {
    "env": Entries(f"{CONTAINER}.env", flag_values.environment, lambda entry: str(entry).partition("=")[0]),
    "label": Entries("labels", flag_values.assignment, is_mapping=True),
    "container_label": Entries(f"{CONTAINER}.labels", flag_values.assignment, is_mapping=True),
    "sysctl": Entries(f"{CONTAINER}.sysctls", flag_values.assignment, is_mapping=True),
    "log_opt": Entries("task_template.log_driver.options", flag_values.assignment, is_mapping=True, removable=False),
    "constraint": Entries(
        f"{PLACEMENT}.constraints", flag_values.text, flag_values.constraint_key, as_key=flag_values.constraint_key
    ),
    "placement_pref": Entries(f"{PLACEMENT}.preferences", flag_values.preference, flag_values.preference_key),
    "mount": Entries(f"{CONTAINER}.mounts", flag_values.mount, lambda mount: mount.target),
    "publish": Entries("endpoint_spec.ports", flag_values.publish, flag_values.port_key),
    "network": Entries("task_template.networks", flag_values.network, lambda network: network.target),
    "host": Entries(
        f"{CONTAINER}.hosts", flag_values.host, flag_values.host_key, alias=lambda line: str(line).split()[-1]
    ),
    "dns": Entries(f"{CONTAINER}.dns_config.nameservers", flag_values.text),
    "dns_option": Entries(f"{CONTAINER}.dns_config.options", flag_values.text),
    "dns_search": Entries(f"{CONTAINER}.dns_config.search", flag_values.text),
    "group": Entries(f"{CONTAINER}.groups", flag_values.text),
    "ulimit": Entries(f"{CONTAINER}.ulimits", flag_values.ulimit, lambda limit: limit.name),
    "generic_resource": Entries(f"{RESERVED}.generic_resources", flag_values.generic, flag_values.generic_key),
    "depends_on": Entries("depends_on", flag_values.dependency, lambda item: item.service),
    "secret": Entries(f"{CONTAINER}.secrets", stored_file_flags.secret, lambda reference: reference.secret_name),
    "config": Entries(f"{CONTAINER}.configs", stored_file_flags.config, lambda reference: reference.config_name),
    "cap_add": Entries(f"{CONTAINER}.capability_add", flag_values.capability, removable=False, opposite="cap_drop"),
    "cap_drop": Entries(f"{CONTAINER}.capability_drop", flag_values.capability, removable=False, opposite="cap_add"),
}


def put(value: T, path: str, item: object) -> T:
    """The struct with the field at a dotted path set; absent parts on the way are created."""
    name, _, rest = path.partition(".")
    if rest:
        below = getattr(value, name)
        item = put(_EMPTY[name] if below is None else below, rest, item)
    return msgspec.structs.replace(value, **{name: item})


def get(value: object, path: str) -> Any:
    """The field at a dotted path; None when a part on the way is absent."""
    for name in path.split("."):
        value = None if value is None else getattr(value, name)
    return value


def set_scalars(spec: ServiceSpec, given: Mapping[str, Any]) -> ServiceSpec:
    """The spec with the scalar flags that were given. Raises a usage error."""
    for flag, (path, read) in SCALARS.items():
        if given.get(flag) is not None:
            spec = put(spec, path, _read(flag, read, given[flag]))
    return spec


def set_lists(spec: ServiceSpec, given: Mapping[str, Any], suffix: str = "") -> ServiceSpec:
    """The spec with the entries of `--x` or (suffix "_add") `--x-add` added; one of the same key is replaced."""
    for flag, entries in LISTS.items():
        texts: Sequence[str] = given.get(flag + (suffix if entries.removable else ""), ())
        added = [item for text in texts for item in _read(flag, entries.read, text)]
        if entries.opposite:
            path = LISTS[entries.opposite].path
            undone = set(added) & set(get(spec, path))
            spec = put(spec, path, [item for item in get(spec, path) if item not in undone])
            added = [item for item in added if item not in undone]
        if not added:
            continue
        present = get(spec, entries.path) or ({} if entries.is_mapping else [])
        if entries.is_mapping:
            spec = put(spec, entries.path, dict(present) | dict(added))
        else:
            keys = {entries.key(item) for item in added}
            spec = put(spec, entries.path, [*(i for i in present if entries.key(i) not in keys), *added])
    return spec


def remove_entries(spec: ServiceSpec, given: Mapping[str, Any]) -> ServiceSpec:
    """The spec without the entries that `--x-rm` names."""
    for flag, entries in LISTS.items():
        names = {entries.as_key(text) for text in given.get(f"{flag}_rm", ())}
        present = get(spec, entries.path)
        if not names or not present:
            continue
        if entries.is_mapping:
            left: object = {key: item for key, item in present.items() if key not in names}
        else:
            left = [item for item in present if not entries.names_of(item) & names]
        spec = put(spec, entries.path, left)
    return spec


def _read(flag: str, read: Callable[[Any], Any], value: object) -> Any:
    try:
        return read(value)
    except ValueError as error:
        raise BadArgument(f"--{flag.replace('_', '-')}: {error}") from None
