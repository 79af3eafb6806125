"""Argosy's own fields of a spec, preserved when a Docker client reads, changes and writes a service. Pure.

`docker service update` sends back the fields that it knows of the spec it read. A Docker client's update keeps the
stored values of Argosy's own fields. Our clients send every field.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from aiohttp import web

from api.codec import Value
from api.service.container import ContainerSpec
from api.service.ports import PortConfig
from api.service.service_spec import NetworkTarget, ServiceSpec, UpdateConfig

V = TypeVar("V", bound=Value)
EXTENSIONS: dict[type[Value], tuple[str, ...]] = {
    ServiceSpec: ("depends_on", "schedule", "revision_history", "rebalance"),
    ContainerSpec: ("domainname", "pull_policy", "platform", "host_config", "post_start", "pre_stop"),
    NetworkTarget: ("mac_address", "ipv4_address"),
    PortConfig: ("host_ip",),
    UpdateConfig: ("progress_deadline",),
}
_CLIENTS = ("docker-client/", "docker-sdk-python/", "moby-client", "go-dockerclient")


def is_docker_client(request: web.Request) -> bool:
    """Whether the request comes from a client that knows Docker's fields only."""
    return request.headers.get("User-Agent", "").lower().startswith(_CLIENTS)


def preserved(asked: ServiceSpec, now: ServiceSpec) -> ServiceSpec:
    """The requested spec, with the stored values of Argosy's own fields that it leaves out."""
    task, old = asked.task_template, now.task_template
    networks = {target.target: target for target in old.networks}
    task = msgspec.structs.replace(
        task,
        container_spec=_kept(task.container_spec, old.container_spec),
        networks=[_kept(one, networks.get(one.target, one)) for one in task.networks],
    )
    asked = msgspec.structs.replace(
        _kept(asked, now),
        task_template=task,
        update_config=_kept_config(asked.update_config, now.update_config),
        rollback_config=_kept_config(asked.rollback_config, now.rollback_config),
    )
    if asked.endpoint_spec and now.endpoint_spec:
        ports = {_port_key(port): port for port in now.endpoint_spec.ports}
        found = [_kept(port, ports.get(_port_key(port), port)) for port in asked.endpoint_spec.ports]
        asked = msgspec.structs.replace(asked, endpoint_spec=msgspec.structs.replace(asked.endpoint_spec, ports=found))
    return asked


def _kept_config(asked: UpdateConfig | None, now: UpdateConfig | None) -> UpdateConfig | None:
    return _kept(asked, now) if asked and now else asked


def _kept(asked: V, now: V) -> V:
    """The value with each of Argosy's own fields that is at its default set as in `now`."""
    fields = {field.name: field for field in msgspec.structs.fields(type(asked))}
    silent = [name for name in EXTENSIONS[type(asked)] if getattr(asked, name) == _default(fields[name])]
    return msgspec.structs.replace(asked, **{name: getattr(now, name) for name in silent})


def _default(field: msgspec.structs.FieldInfo) -> object:
    return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()


def _port_key(port: PortConfig) -> tuple[str, int, int, str]:
    return port.protocol, port.target_port, port.published_port, port.publish_mode
