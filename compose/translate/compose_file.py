"""A project as a compose file in canonical form, as `argosy stack config` prints it. It loads to the same project.

Durations are written as Docker writes them, dollar signs are doubled so that they start no variable, permissions are
octal, and defaults are left out.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import yaml

from compose.model.project import Project
from compose.read.value_kinds import NANOSECONDS
from compose.table.schema import SCHEMA, Schema

_UNITS = ("h", "m", "s", "ms", "us", "ns")


def document(project: Project) -> dict[str, Any]:
    """The project as plain mappings, lists and scalars. Paths are absolute; contents of files are not included."""
    shown: dict[str, Any] = _shown(_non_default(project), SCHEMA)
    return shown


def as_json(project: Project) -> str:
    """The compose file as JSON, which is also YAML."""
    return json.dumps(document(project), indent=2, ensure_ascii=False)


def as_yaml(project: Project) -> str:
    """The compose file as YAML."""
    text: str = yaml.dump(document(project), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def duration(nanoseconds: int) -> str:
    """A duration as Docker writes it: "1m30s"."""
    parts: list[str] = []
    for unit in _UNITS:
        count, nanoseconds = divmod(nanoseconds, NANOSECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _non_default(value: Any) -> Any:
    """The value as plain values, without fields that have their default."""
    if isinstance(value, msgspec.Struct):
        fields = ((field, getattr(value, field.name)) for field in msgspec.structs.fields(value))
        return {field.encode_name: _non_default(found) for field, found in fields if found != _default(field)}
    if isinstance(value, dict):
        return {key: _non_default(item) for key, item in value.items()}
    return [_non_default(item) for item in value] if isinstance(value, list) else value


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _shown(value: Any, schema: Schema | None) -> Any:
    if isinstance(value, dict):
        return {key: _shown(item, schema.child(key) if schema else None) for key, item in value.items()}
    if isinstance(value, list):
        below = schema.child("[0]") if schema else None
        return [_shown(item, below) for item in value]
    if schema and isinstance(value, int) and "duration" in schema.rule.kinds:
        return duration(value)
    if schema and isinstance(value, int) and "mode" in schema.rule.kinds:
        return f"0{value:o}"
    return value.replace("$", "$$") if isinstance(value, str) else value


class _Dumper(yaml.SafeDumper):
    """Quotes every string that YAML 1.1 or 1.2 could read as another type, and writes no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./@=,+ ")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n", "~", ""})


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_plain = text[:1].isalpha() and set(text) <= _PLAIN and text.lower() not in _WORDS and text == text.strip()
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


_Dumper.add_representer(str, _string)
