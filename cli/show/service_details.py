"""`service inspect --pretty`: a service's main settings, in Docker's order and words."""

from __future__ import annotations

from collections.abc import Iterator

from api.engine.services import ServiceAnswer
from api.service.service_spec import ServiceSpec, UpdateConfig
from cli.show.formatting import ago, byte_count, span
from cli.timestamps import unix_time
from kit.durations import short_duration

NANO = 1_000_000_000


def lines(item: ServiceAnswer, now: float) -> Iterator[str]:
    """The lines; `now` in Unix seconds."""
    spec = item.spec
    yield f"ID:             {item.id}"
    yield f"Name:           {spec.name}"
    if spec.labels:
        yield "Labels:"
        yield from (f" {key}={value}" for key, value in sorted(spec.labels.items()))
    yield from _mode(spec)
    if spec.schedule is not None and spec.schedule.cron:
        yield f"Schedule:       {spec.schedule.cron} ({spec.schedule.time_zone or 'UTC'})"
        if spec.schedule.active_deadline is not None:
            yield f" Active deadline: {short_duration(spec.schedule.active_seconds)}"
    yield from _update_status(item, now)
    placement = spec.task_template.placement
    if placement is not None:
        yield "Placement:"
        if placement.constraints:
            yield f" Constraints:   {', '.join(placement.constraints)}"
        spreads = [preference.spread.spread_descriptor for preference in placement.preferences if preference.spread]
        if spreads:
            yield f" Preferences:   spread over {', '.join(spreads)}"
        if placement.max_replicas:
            yield f" Max replicas per node: {placement.max_replicas}"
    yield from _config("UpdateConfig", spec.update_config)
    yield from _config("RollbackConfig", spec.rollback_config)
    yield from _container(spec)
    yield from _endpoint(spec)


def _mode(spec: ServiceSpec) -> Iterator[str]:
    yield f"Service Mode:   {spec.mode_kind.replace('-', ' ').title()}"
    if spec.is_global:
        return
    if spec.is_job:
        yield f" Max Concurrent:    {spec.concurrency}"
        yield f" Total Completions: {spec.replicas}"
    else:
        yield f" Replicas:      {spec.replicas}"


def _update_status(item: ServiceAnswer, now: float) -> Iterator[str]:
    status = item.update_status
    if status is None or not status.state:
        return
    yield "UpdateStatus:"
    yield f" State:         {status.state}"
    if status.started_at:
        yield f" Started:       {ago(unix_time(status.started_at), now)}"
    if status.completed_at:
        yield f" Completed:     {ago(unix_time(status.completed_at), now)}"
    yield f" Message:       {status.message}"


def _config(name: str, config: UpdateConfig | None) -> Iterator[str]:
    if config is None:
        return
    yield f"{name}:"
    yield f" Parallelism:   {config.slots_at_once}"
    if config.delay:
        yield f" Delay:         {span(config.delay_seconds).lower()}"
    yield f" On failure:    {config.on_failure}"
    if config.monitor is not None:
        yield f" Monitoring Period: {span(config.monitor_seconds).lower()}"
    yield f" Max failure ratio: {config.max_failure_ratio:g}"
    yield f" Order:         {config.order or 'stop-first'}"
    if config.progress_deadline is not None:
        yield f" Progress deadline: {span(config.deadline_seconds).lower()}"


def _container(spec: ServiceSpec) -> Iterator[str]:
    container, resources = spec.task_template.container_spec, spec.task_template.resources
    yield "ContainerSpec:"
    yield f" Image:         {container.image}"
    if container.command:
        yield f" Command:       {' '.join(container.command)}"
    if container.args:
        yield f" Args:          {' '.join(container.args)}"
    if container.env:
        yield f" Env:           {' '.join(container.env)}"
    for mount in container.mounts:
        yield f" Mount:         {mount.type} {mount.source} → {mount.target}"
    for name, given in (
        ("Reservations", resources.reservations if resources else None),
        ("Limits", resources.limits if resources else None),
    ):
        if given is not None and (given.nano_cpus or given.memory_bytes):
            cpus = f"{given.nano_cpus / NANO:g} CPUs " if given.nano_cpus else ""
            yield f" {name + ':':<14} {cpus}{byte_count(given.memory_bytes) if given.memory_bytes else ''}".rstrip()


def _endpoint(spec: ServiceSpec) -> Iterator[str]:
    endpoint = spec.endpoint_spec
    yield f"Endpoint Mode:  {(endpoint.mode if endpoint else '') or 'vip'}"
    for port in endpoint.ports if endpoint else ():
        yield f" Port:          {port.published_port} → {port.target_port}/{port.protocol} ({port.publish_mode})"
