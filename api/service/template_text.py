"""Templates of services: `{{.Node.Hostname}}`, `{{join "-" .Service.Name .Task.Slot}}`. Pure.

They are Go's (go_template.py), with Swarm's function `join`, whose separator comes first. As in Docker a missing
field or key is an error, and so is a value that is no text: what it has is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from api.errors import Invalid
from kit.templates.go_template import BadTemplate, is_template, render, shown

__all__ = ["Fields", "Function", "expand", "is_template"]

Fields = Mapping[str, Any]
"""Nested by name; the leaves are strings."""
Function = Callable[..., str]


def expand(text: str, fields: Fields, functions: Mapping[str, Function] | None = None) -> str:
    """The text with every action replaced by its value. Raises Invalid with one sentence that names the action."""
    if not is_template(text):
        return text
    try:
        return render(text, fields, {"join": _join, **(functions or {})}, _text)
    except BadTemplate as error:
        raise Invalid(str(error)) from None


def literal(text: str) -> str:
    """A template that comes to just this text."""
    return text.replace("{{", '{{"{{"}}')


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        there = ", ".join(f".{name}" for name in sorted(value)) or "none"
        raise BadTemplate(f"template: the value is no text but has fields: {there}")
    return shown(value)


def _join(separator: str, *items: str) -> str:
    return separator.join(map(shown, items))
