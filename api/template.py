"""The part of Go's templates that services use: `{{.Node.Hostname}}`, `{{join "-" .Service.Name .Task.Slot}}`. Pure.

    text      = { characters | "{{" ["-"] pipeline ["-"] "}}" }
    pipeline  = command { "|" command }         the value of the one before becomes the last argument
    command   = field | string | number | "(" pipeline ")" | function { argument }
    field     = "." name { "." name }           functions: join, index, printf, and what the caller adds

As in Docker a missing field or key is an error. What else Go's templates have (if, range, with, variables) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from api.errors import Invalid

Fields = Mapping[str, Any]
"""Nested by name; the leaves are strings."""
Function = Callable[..., str]

_ACTION = re.compile(r"\{\{(-\s)?(.*?)(\s-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<number>-?\d+)|(?P<field>(?:\.[\w-]+)+)|(?P<word>\w+)
    |(?P<sign>[|()]))""",
    re.VERBOSE,
)
_REFUSED = frozenset({"if", "else", "end", "range", "with", "define", "template", "block", "break", "continue"})
_VERB = re.compile(r"%(.)")


def is_template(text: str) -> bool:
    """Whether a text has anything to expand."""
    return "{{" in text


def expand(text: str, fields: Fields, functions: Mapping[str, Function] | None = None) -> str:
    """The text with every action replaced by its value. Raises Invalid with one sentence that names the action."""
    if not is_template(text):
        return text
    known = {"join": _join, "printf": _printf, **(functions or {})}
    parts: list[str] = []
    end, trim = 0, False
    for match in _ACTION.finditer(text):
        between = text[end : match.start()]
        between = between.lstrip() if trim else between
        parts.append(between.rstrip() if match[1] else between)
        parts.append(_value(match[2], fields, known))
        end, trim = match.end(), bool(match[3])
    rest = text[end:]
    if "{{" in rest:
        raise Invalid(f"template {text!r}: an action is not closed; '}}}}' is missing")
    return "".join([*parts, rest.lstrip() if trim else rest])


def _value(action: str, fields: Fields, functions: Mapping[str, Function]) -> str:
    source = action.strip()
    if source.startswith("/*") and source.endswith("*/"):
        return ""
    try:
        value = _Parser(list(_tokens(source)), fields, functions).whole()
        return _text(value)
    except _Wrong as wrong:
        raise Invalid(f"template {{{{{action}}}}}: {wrong}") from None


class _Wrong(Exception):
    """What is wrong with one action."""


def _tokens(source: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(source.rstrip()):
        match = _TOKEN.match(source, place)
        if match is None or match.lastgroup is None:
            raise _Wrong(f"cannot read {source[place:].strip()[:20]!r}")
        yield match.lastgroup, match[match.lastgroup]
        place = match.end()


class _Parser:
    """Evaluates one action as it reads it."""

    def __init__(self, tokens: list[tuple[str, str]], fields: Fields, functions: Mapping[str, Function]) -> None:
        self._tokens = tokens
        self._fields = fields
        self._functions = functions

    def whole(self) -> Any:
        """The value of all tokens."""
        value = self._pipeline()
        if self._tokens:
            raise _Wrong(f"{self._tokens[0][1]!r} was not expected")
        return value

    def _pipeline(self) -> Any:
        value = self._command([])
        while self._tokens and self._tokens[0] == ("sign", "|"):
            self._tokens.pop(0)
            value = self._command([value])
        return value

    def _command(self, last: list[Any]) -> Any:
        if self._tokens and self._tokens[0][0] == "word":
            name = self._tokens.pop(0)[1]
            self._check(name)
            arguments = []
            while self._tokens and self._tokens[0] not in (("sign", "|"), ("sign", ")")):
                arguments.append(self._argument())
            return self._call(name, [*arguments, *last])
        value = self._argument()
        if last:
            raise _Wrong("what stands after '|' must be a function")
        return value

    def _argument(self) -> Any:
        if not self._tokens:
            raise _Wrong("a value is missing")
        kind, token = self._tokens.pop(0)
        if kind == "field":
            return self._field(token)
        if kind == "string":
            return token[1:-1] if token[0] == "`" else _unquoted(token)
        if kind == "number":
            return int(token)
        if token == "(":
            value = self._pipeline()
            if not self._tokens or self._tokens.pop(0) != ("sign", ")"):
                raise _Wrong("')' is missing")
            return value
        raise _Wrong(f"{token!r} is not a value; strings stand in quotes, fields begin with a dot")

    def _field(self, path: str) -> Any:
        value: Any = self._fields
        seen = ""
        for name in path[1:].split("."):
            if not isinstance(value, Mapping):
                raise _Wrong(f"{seen} is a text and has no field {name}")
            if name not in value:
                raise _Wrong(f"there is no {seen}.{name}; there is {_list(value, seen)}")
            value, seen = value[name], f"{seen}.{name}"
        return value

    def _check(self, name: str) -> None:
        known = {*self._functions, "index"}
        if name in _REFUSED:
            raise _Wrong(f"{name!r} is not supported; fields and functions are")
        if name not in known:
            raise _Wrong(f"there is no function {name!r}; there is {', '.join(sorted(known))}")

    def _call(self, name: str, arguments: list[Any]) -> Any:
        if name == "index":
            return _index(*arguments)
        try:
            return self._functions[name](*[_text(argument) for argument in arguments])
        except TypeError:
            raise _Wrong(f"{name} does not take {len(arguments)} arguments") from None


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        raise _Wrong(f"the value is no text but has fields: {_list(value, '')}")
    return str(value)


def _list(value: Mapping[str, Any], seen: str) -> str:
    return ", ".join(f"{seen}.{name}" for name in sorted(value)) or "none"


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), token[1:-1])


def _index(*arguments: Any) -> Any:
    if len(arguments) < 2:
        raise _Wrong('index takes a map and a key: index .Service.Labels "a.b"')
    value, *keys = arguments
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            raise _Wrong(f"there is no key {key!r}")
        value = value[key]
    return value


def _join(separator: str, *items: str) -> str:
    return separator.join(items)


def _printf(form: str, *items: str) -> str:
    values = iter(items)

    def verb(match: re.Match[str]) -> str:
        if match[1] == "%":
            return "%"
        if match[1] not in "svdq":
            raise _Wrong(f"printf: %{match[1]} is not supported; %s, %v, %d and %q are")
        value = next(values, None)
        if value is None:
            raise _Wrong(f"printf: {form!r} asks for more values than there are")
        return f'"{value}"' if match[1] == "q" else value

    return _VERB.sub(verb, form)
