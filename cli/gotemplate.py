"""The part of Go's templates that `--format` needs: fields, `json`, `len`, `index`, `range`, `if`, `join`, `upper` …"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_TAG = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|\||[^\s|]+')
_ESCAPES = {"\\t": "\t", "\\n": "\n"}


class BadTemplate(Exception):
    """The template cannot be used; the text says why."""


@dataclass(slots=True)
class _Block:
    """`range` and `if` hold a body and an else part; the root is a block without a condition."""

    keyword: str = ""
    condition: str = ""
    body: list[str | tuple[str, str] | _Block] = field(default_factory=list)
    otherwise: list[str | tuple[str, str] | _Block] = field(default_factory=list)


def render(template: str, value: object) -> str:
    """The template with a value (plain dicts, lists, scalars) put in. Raises BadTemplate."""
    return "".join(_render(_parse(template).body, value, value))


def _parse(template: str) -> _Block:
    for escape, char in _ESCAPES.items():
        template = template.replace(escape, char)
    root = _Block()
    open_blocks, target, position = [root], root.body, 0
    for tag in _TAG.finditer(template):
        target.append(template[position : tag.start()])
        position = tag.end()
        keyword, _, rest = tag[1].partition(" ")
        if keyword in ("range", "if"):
            block = _Block(keyword, rest)
            target.append(block)
            open_blocks.append(block)
            target = block.body
        elif keyword == "else" and len(open_blocks) > 1 and not rest:
            target = open_blocks[-1].otherwise
        elif keyword == "end" and len(open_blocks) > 1:
            open_blocks.pop()
            parent = open_blocks[-1]
            target = parent.otherwise if parent.otherwise else parent.body
        else:
            target.append(("", tag[1]))
    if len(open_blocks) > 1:
        raise BadTemplate(f"{{{{{open_blocks[-1].keyword} …}}}} lacks its {{{{end}}}}")
    target.append(template[position:])
    return root


def _render(parts: list[str | tuple[str, str] | _Block], value: object, root: object) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, tuple):
            yield _show(_pipeline(part[1], value, root))
        elif part.keyword == "if":
            yield from _render(part.body if _pipeline(part.condition, value, root) else part.otherwise, value, root)
        else:
            items = _pipeline(part.condition, value, root)
            for item in items.values() if isinstance(items, dict) else items or ():
                yield from _render(part.body, item, root)
            if not items:
                yield from _render(part.otherwise, value, root)


def _pipeline(text: str, value: object, root: object) -> Any:
    result: Any = None
    tokens = _TOKEN.findall(text)
    for number, command in enumerate(_split(tokens)):
        words = [_operand(word, value, root) if not _is_function(word) else word for word in command]
        if number:
            words.append(result)
        if words and isinstance(command[0], str) and _is_function(command[0]):
            result = _call(command[0], words[1:])
        elif len(words) == 1:
            result = words[0]
        else:
            raise BadTemplate(f"{{{{{text}}}}} is not understood")
    return result


def _split(tokens: list[str]) -> list[list[str]]:
    commands: list[list[str]] = [[]]
    for token in tokens:
        if token == "|":
            commands.append([])
        else:
            commands[-1].append(token)
    if not all(commands):
        raise BadTemplate("an empty {{}} or | says nothing")
    return commands


def _is_function(word: str) -> bool:
    return word.isidentifier()


def _operand(word: str, value: object, root: object) -> Any:
    if word[0] in '"`':
        return word[1:-1].replace('\\"', '"')
    if word.startswith("$"):
        return _field(root, word[1:])
    if word.startswith("."):
        return _field(value, word)
    if re.fullmatch(r"-?\d+", word):
        return int(word)
    raise BadTemplate(f"{word!r} is not understood; fields are written as .Name")


def _field(value: Any, path: str) -> Any:
    for name in path.strip(".").split(".") if path.strip(".") else ():
        if isinstance(value, Mapping):
            if name not in value:
                raise BadTemplate(f"there is no field .{name}; there are {', '.join(f'.{key}' for key in value)}")
            value = value[name]
        elif value is not None:
            raise BadTemplate(f".{name}: not a field of {_show(value)!r}")
    return value


def _call(name: str, arguments: list[Any]) -> Any:
    function = _FUNCTIONS.get(name)
    if not function:
        raise BadTemplate(f"there is no function {name!r}; there are {', '.join(sorted(_FUNCTIONS))}")
    try:
        return function(*arguments)
    except (TypeError, LookupError) as error:
        raise BadTemplate(f"{name}: {error}") from None


def _show(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "<no value>"
    if isinstance(value, list):
        return f"[{' '.join(_show(item) for item in value)}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_show(item)}' for key, item in value.items())}]"
    return str(value)


def _json(value: object) -> str:
    import json

    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else value[key]
    return value


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "json": _json,
    "len": len,
    "index": _index,
    "join": lambda items, separator: separator.join(_show(item) for item in items),
    "split": lambda text, separator: str(text).split(separator),
    "upper": lambda text: str(text).upper(),
    "lower": lambda text: str(text).lower(),
    "truncate": lambda text, length: str(text)[:length],
    "not": lambda value: not value,
    "eq": lambda value, *others: value in others,
    "ne": lambda value, other: value != other,
    "println": lambda *values: " ".join(_show(value) for value in values) + "\n",
    "print": lambda *values: " ".join(_show(value) for value in values),
}
