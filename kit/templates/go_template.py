"""Go's text/template, the part that templates of services and `--format` need. Pure.

    {{.Field.Of.It}}  {{$x}}  {{"text"}}  {{3}}  {{(pipeline).Field}}  {{f a b | g}}  {{- trims -}}  {{/* comment */}}
    {{if p}} {{else if p}} {{else}} {{end}}   {{with p}} … {{else}} … {{end}}   {{break}} {{continue}}
    {{range p}} {{range $v := p}} {{range $i, $v := p}} … {{else}} … {{end}}   {{$x := p}} {{$x = p}}

Functions: and, or, not, eq, ne, lt, le, gt, ge, len, index, slice, print, printf, println, and those the caller adds.
As in Go, everything is true but false, 0, nil and empty values. A missing field or key is an error that names the
existing ones (Docker's `missingkey=error`). `define`, `template` and `block` are refused by name.
Source: https://pkg.go.dev/text/template.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kit.templates.functions import BUILTINS, Function, Functions, is_true, shown
from kit.templates.syntax import (
    ActionError,
    BadTemplate,
    Block,
    Break,
    Command,
    Continue,
    Operand,
    Part,
    Pipeline,
    parsed,
)

__all__ = ["BadTemplate", "Function", "Functions", "is_template", "is_true", "render", "shown"]

_MOST_ROUNDS = 100_000
"""Iterations of all ranges together, because nested ranges multiply."""
_MOST = 1 << 20
"""Characters of the result: `range` and `printf` can make a large text from a small template."""


def is_template(text: str) -> bool:
    """Whether a text contains an action."""
    return "{{" in text


def render(
    text: str, value: object, functions: Functions | None = None, show: Callable[[Any], str] | None = None
) -> str:
    """The text with every action replaced by its value. `show` formats values. Raises BadTemplate."""
    run = _Run({**BUILTINS, **(functions or {})}, show or shown)
    try:
        return "".join(run.block(parsed(text).body, value, [{"$": value}]))
    except (Break, Continue):
        raise BadTemplate("{{break}} and {{continue}} stand in a range") from None


_Scopes = list[dict[str, Any]]


class _Run:
    """One rendering."""

    def __init__(self, functions: Functions, show: Callable[[Any], str]) -> None:
        self._functions = functions
        self._show = show
        self._size = 0
        self._rounds = 0

    def block(self, parts: Sequence[Part], dot: object, scopes: _Scopes) -> Iterator[str]:
        """The text of the parts, with `dot` as the value of "."."""
        scopes = [*scopes, {}]
        for part in parts:
            if isinstance(part, str):
                yield self._bounded(part)
            elif isinstance(part, Pipeline):
                yield self._bounded(self._action(part, dot, scopes))
            elif isinstance(part, Block):
                yield from self._branch(part, dot, scopes)
            else:
                raise part

    def _count(self) -> None:
        self._rounds += 1
        if self._rounds > _MOST_ROUNDS:
            raise BadTemplate(f"template: its ranges go round more than {_MOST_ROUNDS} times")

    def _bounded(self, text: str) -> str:
        self._size += len(text)
        if self._size > _MOST:
            raise BadTemplate(f"template: it comes to more than {_MOST} characters")
        return text

    def _action(self, pipeline: Pipeline, dot: object, scopes: _Scopes) -> str:
        try:
            value = self._evaluate(pipeline, dot, scopes)
            return "" if pipeline.variables else self._show(value)
        except ActionError as wrong:
            raise BadTemplate(f"template {{{{{pipeline.source}}}}}: {wrong}") from None

    def _branch(self, block: Block, dot: object, scopes: _Scopes) -> Iterator[str]:
        assert block.pipeline is not None, "the root alone has none"
        scopes = [*scopes, {}]
        try:
            value = self._evaluate(block.pipeline, dot, scopes)
            items = _items(value) if block.keyword == "range" else []
        except ActionError as wrong:
            raise BadTemplate(f"template {{{{{block.pipeline.source}}}}}: {wrong}") from None
        if block.keyword == "range" and items:
            yield from self._range(block, items, scopes)
        elif block.keyword != "range" and is_true(value):
            yield from self.block(block.body, value if block.keyword == "with" else dot, scopes)
        else:
            yield from self.block(block.otherwise, dot, scopes)

    def _range(self, block: Block, items: list[tuple[Any, Any]], scopes: _Scopes) -> Iterator[str]:
        assert block.pipeline is not None, "a range has one"
        names = block.pipeline.variables
        for key, item in items:
            self._count()
            values = (key, item) if len(names) == 2 else (item,)
            parts: list[str] = []
            try:
                for part in self.block(block.body, item, [*scopes, dict(zip(names, values, strict=False))]):
                    parts.append(part)
            except Break:
                yield from parts
                return
            except Continue:
                pass
            yield from parts

    def _evaluate(self, pipeline: Pipeline, dot: object, scopes: _Scopes) -> Any:
        value: Any = None
        for number, command in enumerate(pipeline.commands):
            value = self._command(command, dot, scopes, [value] if number else [])
        for name in pipeline.variables[-1:]:
            if pipeline.declares:
                scopes[-1][name] = value
            else:
                _scope_of(name, scopes)[name] = value
        return value

    def _command(self, command: Command, dot: object, scopes: _Scopes, last: list[Any]) -> Any:
        if not command.name:
            return self._value(command.arguments[0], dot, scopes)
        if command.name in ("and", "or"):
            return self._logic(command, dot, scopes, last)
        function = self._functions.get(command.name)
        if function is None:
            known = ", ".join(sorted(self._functions))
            raise ActionError(f"there is no function {command.name!r}; there is {known}")
        arguments = [self._value(argument, dot, scopes) for argument in command.arguments] + last
        try:
            return function(*arguments)
        except TypeError:
            raise ActionError(f"{command.name} does not take {_counted(arguments)}") from None
        except (LookupError, ValueError) as error:
            raise ActionError(f"{command.name}: {error}") from None

    def _logic(self, command: Command, dot: object, scopes: _Scopes, last: list[Any]) -> Any:
        """`and` and `or`: arguments behind the deciding one are not evaluated."""
        if not command.arguments:
            raise ActionError(f"{command.name} does not take 0 arguments")
        value: Any = None
        for argument in command.arguments:
            value = self._value(argument, dot, scopes)
            if is_true(value) is (command.name == "or"):
                return value
        return last[0] if last else value

    def _value(self, value: Operand, dot: object, scopes: _Scopes) -> Any:
        if value.kind == "constant":
            return value.content
        if value.kind == "call":
            return self._command(value.content, dot, scopes, [])
        if value.kind == "field":
            return _field(dot, value.path, "")
        if value.kind == "variable":
            name = value.content
            return _field(_scope_of(name, scopes)[name], value.path, "" if name == "$" else name)
        return _field(self._evaluate(value.content, dot, scopes), value.path, "")


def _scope_of(name: str, scopes: _Scopes) -> dict[str, Any]:
    for scope in reversed(scopes):
        if name in scope:
            return scope
    raise ActionError(f"there is no variable {name}")


def _field(value: Any, path: Sequence[str], seen: str) -> Any:
    for name in path:
        if value is None:
            return None
        if not isinstance(value, Mapping):
            what = "a text" if isinstance(value, str) else "no object"
            raise ActionError(f"{seen or '.'} is {what} and has no field {name}")
        if name not in value:
            there = ", ".join(f"{seen}.{key}" for key in sorted(map(str, value))) or "none"
            raise ActionError(f"there is no {seen}.{name}; there is {there}")
        value, seen = value[name], f"{seen}.{name}"
    return value


def _items(value: Any) -> list[tuple[Any, Any]]:
    """The pairs a range iterates over: index and item, key and value, or numbers."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        return sorted(value.items(), key=lambda item: str(item[0]))
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    if isinstance(value, int) and not isinstance(value, bool) and value <= _MOST_ROUNDS:
        return [(number, number) for number in range(value)]
    raise ActionError(f"range can't go over {shown(value)!r}; it needs a list, a map or a number")


def _counted(arguments: Sequence[Any]) -> str:
    count = len(arguments)
    return f"{count} argument{'' if count == 1 else 's'}" if count else "0 arguments"
