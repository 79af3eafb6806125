"""Whether two specs make the same tasks, and what differs between them field by field. Pure.

Bring both into one form first (api/service/canonical.py); otherwise two spellings of one thing count as a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from api.codec import fields_of
from api.service.placement import Placement
from api.service.ports import PortConfig
from api.service.service_spec import ServiceSpec, TaskSpec


def task_fingerprint(spec: ServiceSpec) -> tuple[TaskSpec, list[PortConfig]]:
    """The part of a spec that its tasks are made of. If it stays equal, no task has to be replaced.

    Of the placement only the platforms are in it, as in swarmkit (IsTaskDirtyPlacementConstraintsOnly): a node that
    meets the new constraints keeps its task, and preferences and the most per node are for tasks yet to be placed.
    """
    template = spec.task_template
    if template.placement:
        platforms = Placement(platforms=template.placement.platforms)
        template = replace(template, placement=platforms if platforms.platforms else None)
    return template, spec.host_ports


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs. A value is None where the field is not there, or at its default."""

    path: str
    """"TaskTemplate.ContainerSpec.Image"; entries of lists by what names them: "…Env[PATH]", "…Mounts[/a].Source"."""
    old: Any
    new: Any


def differences(old: object, new: object) -> list[Difference]:
    """Of two values of the API, in the order of their paths."""
    if old == new:
        return []
    was, will_be = dict(_leaves("", _plain(old))), dict(_leaves("", _plain(new)))
    return [
        Difference(path, was.get(path), will_be.get(path))
        for path in sorted({*was, *will_be})
        if was.get(path) != will_be.get(path)
    ]


_KEYS: dict[str, Callable[[Any], str]] = {
    "Mounts": lambda entry: str(entry.get("Target", "")),
    "Networks": lambda entry: str(entry.get("Target", "")),
    "Secrets": lambda entry: str((entry.get("File") or {}).get("Name", "")),
    "Configs": lambda entry: str((entry.get("File") or {}).get("Name", "")),
    "Ports": lambda entry: f"{entry.get('TargetPort', 0)}/{entry.get('Protocol', 'tcp')}",
    "Ulimits": lambda entry: str(entry.get("Name", "")),
    "DependsOn": lambda entry: str(entry.get("Service", "")),
}
"""How an entry of a list of objects is named. In other lists of objects it is named by its index."""
_MARKS = {"Env": "=", "Hosts": " "}
"""Lists of texts in which an entry is named by the part before this separator."""


def _plain(value: object) -> Any:
    """Dicts, lists and scalars, without what is at its default. (`omit_defaults` goes by identity: it misses some.)"""
    if isinstance(value, msgspec.Struct):
        pairs = ((field, getattr(value, field.name)) for field in fields_of(type(value)))
        return {field.encode_name: _plain(item) for field, item in pairs if not _is_default(field, item)}
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _is_default(field: msgspec.structs.FieldInfo, item: object) -> bool:
    if field.default is not msgspec.NODEFAULT:
        return bool(item == field.default)
    return field.default_factory is not msgspec.NODEFAULT and item == field.default_factory()


def _leaves(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _leaves(f"{path}.{name}" if path else str(name), item)
    elif isinstance(value, list) and (entries := list(_entries(path.rpartition(".")[2], value))):
        seen: dict[str, int] = {}
        for name, item in entries:
            seen[name] = seen.get(name, 0) + 1
            yield from _leaves(f"{path}[{name}]" if seen[name] == 1 else f"{path}[{name}#{seen[name]}]", item)
    elif path and value not in (None, []):
        yield path, value


def _entries(field: str, items: list[Any]) -> Iterator[tuple[str, object]]:
    """A list's entries with their names. Empty for lists that are compared as a whole."""
    if mark := _MARKS.get(field):
        for text in items:
            name, _, rest = text.partition(mark)
            yield name, rest
    elif items and all(isinstance(item, Mapping) for item in items):
        key = _KEYS.get(field)
        for number, item in enumerate(items):
            yield key(item) if key else str(number), item
