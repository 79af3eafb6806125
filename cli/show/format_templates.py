"""Templates of `--format`: Go's (kit/templates/go_template.py), with the functions that Docker's command line adds."""

from __future__ import annotations

from collections.abc import Mapping

from kit.templates import go_template
from kit.templates.go_template import BadTemplate, shown

__all__ = ["BadTemplate", "render"]

_ESCAPES = {"\\t": "\t", "\\n": "\n"}


def render(template: str, value: object) -> str:
    """The template with a value (plain dicts, lists, scalars) put in. Raises BadTemplate."""
    for escape, char in _ESCAPES.items():
        template = template.replace(escape, char)
    return go_template.render(template, value, _FUNCTIONS)


def _json(value: object) -> str:
    import json

    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


_FUNCTIONS: Mapping[str, go_template.Function] = {
    "json": _json,
    "join": lambda items, separator: separator.join(map(shown, items)),
    "split": lambda text, separator: str(text).split(separator),
    "title": lambda text: str(text).title(),
    "upper": lambda text: str(text).upper(),
    "lower": lambda text: str(text).lower(),
    "pad": lambda text, before, after: " " * min(before, 100) + str(text) + " " * min(after, 100),
    "truncate": lambda text, length: str(text)[:length],
}
"""cli/templates of docker/cli has these."""
