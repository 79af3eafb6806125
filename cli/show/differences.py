"""What differs between two values, field by field: "TaskTemplate.ContainerSpec.Image", old and new. Pure.

Entries of lists are told by what names them (a variable, a mount's target, a network), not by where they stand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from api.codec import fields_of
from cli.show.formatting import span_short

NONE = "(none)"
_LONGEST = 120
"""Characters of a value that are shown."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field. Values are as people read them."""

    path: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.path}: {_cut(self.old)} → {_cut(self.new)}"


_KEYS: dict[str, Callable[[Any], str]] = {
    "Env": lambda entry: str(entry.partition("=")[0]),
    "Mounts": lambda entry: str(entry.get("Target", "")),
    "Networks": lambda entry: str(entry.get("Target", "")),
    "Secrets": lambda entry: str((entry.get("File") or {}).get("Name", "")),
    "Configs": lambda entry: str((entry.get("File") or {}).get("Name", "")),
    "Ports": lambda entry: f"{entry.get('TargetPort', 0)}/{entry.get('Protocol', 'tcp')}",
    "Ulimits": lambda entry: str(entry.get("Name", "")),
    "DependsOn": lambda entry: str(entry.get("Service", "")),
}
"""What an entry of a list is named by."""


_SECONDS = ("Interval", "Timeout", "StartPeriod", "StartInterval", "Delay", "Monitor", "Window", "StopGracePeriod")
_UNITS: dict[str, Callable[[int], str]] = {
    **dict.fromkeys(_SECONDS, lambda nanoseconds: span_short(nanoseconds / 1e9)),
    "MemoryBytes": lambda count: f"{count / (1 << 20):g}M",
    "NanoCPUs": lambda count: f"{count / 1e9:g}",
}
"""How numbers that have a unit are shown, by the field's name."""


def differences(old: object, new: object) -> list[Difference]:
    """Of two values of the API, in the order of their paths."""
    if old == new:
        return []
    was, will_be = dict(_leaves("", _plain(old))), dict(_leaves("", _plain(new)))
    return [
        Difference(path, _text(path, was.get(path)), _text(path, will_be.get(path)))
        for path in sorted({*was, *will_be})
        if was.get(path) != will_be.get(path)
    ]


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
    elif isinstance(value, list) and value and (key := _KEYS.get(path.rpartition(".")[2])):
        seen: dict[str, int] = {}
        for item in value:
            name = key(item)
            seen[name] = seen.get(name, 0) + 1
            inner = f"{path}[{name}]" if seen[name] == 1 else f"{path}[{name}#{seen[name]}]"
            yield from _leaves(inner, item.partition("=")[2] if isinstance(item, str) else item)
    elif path and value not in (None, []):
        yield path, value


def _text(path: str, value: object) -> str:
    if value is None:
        return NONE
    unit = _UNITS.get(path.rpartition(".")[2])
    if unit and isinstance(value, int) and value > 0:
        return unit(value)
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
