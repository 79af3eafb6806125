"""Go's text/template, as far as templates of services and of `--format` need it. Pure.

    {{.Field.Of.It}}  {{$x}}  {{"text"}}  {{3}}  {{(pipeline).Field}}  {{f a b | g}}  {{- trims -}}  {{/* comment */}}
    {{if p}} {{else if p}} {{else}} {{end}}   {{with p}} … {{else}} … {{end}}   {{break}} {{continue}}
    {{range p}} {{range $v := p}} {{range $i, $v := p}} … {{else}} … {{end}}   {{$x := p}} {{$x = p}}

Functions: and, or, not, eq, ne, lt, le, gt, ge, len, index, slice, print, printf, println, and those the caller adds.
What is true is as in Go: not false, 0, nil, or empty. A field or key that is not there is an error that names those
there are (Docker's `missingkey=error`). `define`, `template` and `block` are refused by name.
Source: https://pkg.go.dev/text/template.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Function = Callable[..., Any]
Functions = Mapping[str, Function]

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<char>'(?:[^'\\]|\\.)')|(?P<number>[-+]?\d+(?:\.\d+)?(?![\w.]))
    |(?P<variable>\$\w*(?:\.[\w-]+)*)|(?P<field>(?:\.[A-Za-z_][\w-]*)+|\.(?![\w]))|(?P<word>\w+)|(?P<sign>:=|[|(),=]))""",
    re.VERBOSE,
)
_OPEN = re.compile(r"\{\{(-(?=\s))?")
_CLOSE = re.compile(r"(\s-)?\}\}")
_COMMENT = re.compile(r"\s*/\*.*?\*/", re.DOTALL)
_BLOCKS = frozenset(["if", "range", "with"])
_REFUSED = frozenset(["define", "template", "block"])
_VERB = re.compile(r"%([-+# 0]*)(\d*)(?:\.(\d+))?(.)", re.DOTALL)
_DEPTH = 100
"""Levels of blocks and parentheses."""
_MOST_ROUNDS = 100_000
"""Of all ranges together: nested ones multiply."""
_MOST = 1 << 20
"""Characters that a template may come to: `range` and `printf` can make much of little."""


class BadTemplate(Exception):
    """The template cannot be used; one sentence says why, and names the action."""


class _Wrong(Exception):
    """What is wrong with the action that is being read or evaluated."""


# ── what a template is made of ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Value:
    """A constant, a field, a variable, or a pipeline in parentheses."""

    kind: str
    content: Any
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Command:
    """A function with arguments; or one value ("" and that)."""

    name: str
    arguments: tuple[_Value, ...]


@dataclass(frozen=True, slots=True)
class _Pipeline:
    """Commands, each with the value of the one before as its last argument; and variables that get the value."""

    source: str
    commands: tuple[_Command, ...]
    variables: tuple[str, ...] = ()
    declares: bool = False


@dataclass(slots=True)
class _Block:
    """`if`, `with`, `range`, and the template itself (""). An `else if` is a block alone in `otherwise`."""

    keyword: str
    pipeline: _Pipeline | None = None
    body: list[_Part] = field(default_factory=list)
    otherwise: list[_Part] = field(default_factory=list)
    closes: int = 1
    """How many blocks its `end` closes: `else if` opens one that has no end of its own."""


_Part = str | _Pipeline | _Block | type[Exception]


class _Break(Exception):
    """{{break}}."""


class _Continue(Exception):
    """{{continue}}."""


def is_template(text: str) -> bool:
    """Whether a text has anything to expand."""
    return "{{" in text


def render(
    text: str, value: object, functions: Functions | None = None, show: Callable[[Any], str] | None = None
) -> str:
    """The text with every action replaced by its value. `show` makes text of values. Raises BadTemplate."""
    run = _Run({**BUILTINS, **(functions or {})}, show or shown)
    try:
        return "".join(run.block(_parsed(text).body, value, [{"$": value}]))
    except (_Break, _Continue):
        raise BadTemplate("{{break}} and {{continue}} stand in a range") from None


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────


@functools.lru_cache(maxsize=1024)
def _parsed(text: str) -> _Block:
    root = _Block("")
    blocks, targets = [root], [root.body]
    for part in _parts(text):
        if isinstance(part, str):
            targets[-1].append(part)
            continue
        source, tokens = part
        try:
            _take(source, tokens, blocks, targets)
        except _Wrong as wrong:
            raise BadTemplate(f"template {{{{{source}}}}}: {wrong}") from None
    if len(blocks) > 1:
        raise BadTemplate(f"template: {{{{{blocks[-1].keyword} …}}}} lacks its {{{{end}}}}")
    return root


def _parts(text: str) -> Iterator[str | tuple[str, list[tuple[str, str]]]]:
    """Texts between actions, and actions with their tokens."""
    place, trim = 0, False
    while opening := _OPEN.search(text, place):
        between = text[place : opening.start()]
        between = between.lstrip() if trim else between
        yield between.rstrip() if opening[1] else between
        source, tokens, place, trim = _action(text, opening.end())
        if tokens is not None:
            yield source, tokens
    yield text[place:].lstrip() if trim else text[place:]


def _action(text: str, begin: int) -> tuple[str, list[tuple[str, str]] | None, int, bool]:
    """Its source, its tokens (None: a comment), where it ends, and whether what follows is trimmed."""
    comment = _COMMENT.match(text, begin)
    place = comment.end() if comment else begin
    tokens: list[tuple[str, str]] = []
    while (closing := _CLOSE.match(text, _blank(text, place))) is None:
        token = _TOKEN.match(text, place)
        if token is None or token.lastgroup is None:
            raise BadTemplate(_unreadable(text, begin, place))
        tokens.append((token.lastgroup, token[token.lastgroup]))
        place = token.end()
    source = text[begin : closing.start()].strip()
    return source, None if comment and not tokens else tokens, closing.end(), bool(closing[1])


def _blank(text: str, place: int) -> int:
    """Where the closing of an action would begin: behind blanks, but for the one that belongs to a trim mark."""
    end = place
    while end < len(text) and text[end].isspace():
        end += 1
    return end - 1 if end > place and text.startswith("-}}", end) else end


def _unreadable(text: str, begin: int, place: int) -> str:
    if "}}" not in text[place:]:
        return f"template {text!r}: an action is not closed; '}}}}' is missing"
    end = text.index("}}", place)
    rest = text[place:end].strip()[:20]
    return f"template {{{{{text[begin:end]}}}}}: cannot read {rest!r}"


def _take(source: str, tokens: list[tuple[str, str]], blocks: list[_Block], targets: list[list[_Part]]) -> None:
    """One action: into the innermost block, or one that opens or closes it."""
    word = tokens[0][1] if tokens and tokens[0][0] == "word" else ""
    if word in _REFUSED:
        raise _Wrong(f"{word!r} is not supported")
    if word in _BLOCKS:
        _begin(_Block(word, _Reader(source, tokens[1:]).pipeline(word == "range")), blocks, targets)
    elif word == "else":
        _else(source, tokens[1:], blocks, targets)
    elif word == "end" and len(tokens) == 1:
        if len(blocks) == 1:
            raise _Wrong("there is no block to end")
        for _ in range(blocks[-1].closes):
            blocks.pop()
            targets.pop()
    elif word in ("break", "continue") and len(tokens) == 1:
        targets[-1].append(_Break if word == "break" else _Continue)
    else:
        targets[-1].append(_Reader(source, tokens).pipeline(is_action=True))


def _begin(block: _Block, blocks: list[_Block], targets: list[list[_Part]]) -> None:
    if len(blocks) > _DEPTH:
        raise _Wrong(f"blocks are nested more than {_DEPTH} deep")
    targets[-1].append(block)
    blocks.append(block)
    targets.append(block.body)


def _else(source: str, rest: list[tuple[str, str]], blocks: list[_Block], targets: list[list[_Part]]) -> None:
    block = blocks[-1]
    if not block.keyword or targets[-1] is block.otherwise:
        raise _Wrong("there is no block that it could belong to")
    targets[-1] = block.otherwise
    if not rest:
        return
    if rest[0] not in (("word", "if"), ("word", "with")) or block.keyword == "range":
        raise _Wrong("after 'else' there is nothing, or 'if' with a condition")
    inner = _Block(rest[0][1], _Reader(source, rest[1:]).pipeline(), closes=block.closes + 1)
    _begin(inner, blocks, targets)


class _Reader:
    """Reads the pipeline of one action."""

    def __init__(self, source: str, tokens: Sequence[tuple[str, str]]) -> None:
        self._source = source
        self._tokens = list(tokens)
        self._depth = 0

    def pipeline(self, is_range: bool = False, *, is_action: bool = False) -> _Pipeline:
        """All tokens. Raises _Wrong."""
        variables, declares = self._variables(is_range)
        if not declares and variables and not is_action:
            raise _Wrong("a variable is declared with :=")
        found = _Pipeline(self._source, self._commands(), variables, declares)
        if self._tokens:
            raise _Wrong(f"{self._tokens[0][1]!r} was not expected")
        return found

    def _variables(self, is_range: bool) -> tuple[tuple[str, ...], bool]:
        """Variables that are set at the beginning, and whether they are new."""
        names: list[str] = []
        rest = list(self._tokens)
        while rest and rest[0][0] == "variable" and "." not in rest[0][1]:
            names.append(rest.pop(0)[1])
            if is_range and len(names) == 1 and rest and rest[0] == ("sign", ","):
                rest.pop(0)
                continue
            if rest and rest[0] in (("sign", ":="), ("sign", "=")):
                self._tokens = rest[1:]
                return tuple(names), rest[0][1] == ":="
            break
        return (), False

    def _commands(self) -> tuple[_Command, ...]:
        commands = [self._command()]
        while self._next(("sign", "|")):
            commands.append(self._command())
            if not commands[-1].name:
                raise _Wrong("what stands after '|' must be a function")
        return tuple(commands)

    def _command(self) -> _Command:
        name = ""
        if self._tokens and self._tokens[0][0] == "word" and self._tokens[0][1] not in _CONSTANTS:
            name = self._tokens.pop(0)[1]
        arguments = []
        while self._tokens and self._tokens[0] not in (("sign", "|"), ("sign", ")")):
            arguments.append(self._value())
            if not name:
                break
        if not name and not arguments:
            raise _Wrong("a value is missing")
        return _Command(name, tuple(arguments))

    def _value(self) -> _Value:
        kind, token = self._tokens.pop(0)
        if kind == "field":
            return _Value("field", None, tuple(part for part in token.split(".") if part))
        if kind == "variable":
            name, *path = token.split(".")
            return _Value("variable", name, tuple(path))
        if kind in ("string", "char"):
            text = token[1:-1] if token[0] == "`" else _unquoted(token)
            return _Value("constant", ord(text) if kind == "char" else text)
        if kind == "number":
            return _Value("constant", float(token) if "." in token else int(token))
        if kind == "word" and token in _CONSTANTS:
            return _Value("constant", _CONSTANTS[token])
        if token == "(":
            return self._parenthesis()
        if kind == "word":
            return _Value("call", _Command(token, ()))
        raise _Wrong(f"{token!r} is not a value; strings stand in quotes, fields begin with a dot")

    def _parenthesis(self) -> _Value:
        self._depth += 1
        if self._depth > _DEPTH:
            raise _Wrong(f"parentheses are nested more than {_DEPTH} deep")
        inner = _Pipeline(self._source, self._commands())
        self._depth -= 1
        if not self._next(("sign", ")")):
            raise _Wrong("')' is missing")
        path: tuple[str, ...] = ()
        if self._tokens and self._tokens[0][0] == "field":
            path = tuple(part for part in self._tokens.pop(0)[1].split(".") if part)
        return _Value("pipeline", inner, path)

    def _next(self, token: tuple[str, str]) -> bool:
        if self._tokens and self._tokens[0] == token:
            self._tokens.pop(0)
            return True
        return False


_CONSTANTS: Mapping[str, Any] = {"true": True, "false": False, "nil": None}


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t", "r": "\r"}.get(m[1], m[1]), token[1:-1])


# ── evaluating ───────────────────────────────────────────────────────────────────────────────────────────────────

_Scopes = list[dict[str, Any]]


class _Run:
    """One rendering."""

    def __init__(self, functions: Functions, show: Callable[[Any], str]) -> None:
        self._functions = functions
        self._show = show
        self._size = 0
        self._rounds = 0

    def block(self, parts: Sequence[_Part], dot: object, scopes: _Scopes) -> Iterator[str]:
        """The text of the parts, with `dot` as the value of "."."""
        scopes = [*scopes, {}]
        for part in parts:
            if isinstance(part, str):
                yield self._bounded(part)
            elif isinstance(part, _Pipeline):
                yield self._bounded(self._action(part, dot, scopes))
            elif isinstance(part, _Block):
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

    def _action(self, pipeline: _Pipeline, dot: object, scopes: _Scopes) -> str:
        try:
            value = self._evaluate(pipeline, dot, scopes)
            return "" if pipeline.variables else self._show(value)
        except _Wrong as wrong:
            raise BadTemplate(f"template {{{{{pipeline.source}}}}}: {wrong}") from None

    def _branch(self, block: _Block, dot: object, scopes: _Scopes) -> Iterator[str]:
        assert block.pipeline is not None, "the root alone has none"
        scopes = [*scopes, {}]
        try:
            value = self._evaluate(block.pipeline, dot, scopes)
            items = _items(value) if block.keyword == "range" else []
        except _Wrong as wrong:
            raise BadTemplate(f"template {{{{{block.pipeline.source}}}}}: {wrong}") from None
        if block.keyword == "range" and items:
            yield from self._range(block, items, scopes)
        elif block.keyword != "range" and is_true(value):
            yield from self.block(block.body, value if block.keyword == "with" else dot, scopes)
        else:
            yield from self.block(block.otherwise, dot, scopes)

    def _range(self, block: _Block, items: list[tuple[Any, Any]], scopes: _Scopes) -> Iterator[str]:
        assert block.pipeline is not None, "a range has one"
        names = block.pipeline.variables
        for key, item in items:
            self._count()
            values = (key, item) if len(names) == 2 else (item,)
            parts: list[str] = []
            try:
                for part in self.block(block.body, item, [*scopes, dict(zip(names, values, strict=False))]):
                    parts.append(part)
            except _Break:
                yield from parts
                return
            except _Continue:
                pass
            yield from parts

    def _evaluate(self, pipeline: _Pipeline, dot: object, scopes: _Scopes) -> Any:
        value: Any = None
        for number, command in enumerate(pipeline.commands):
            value = self._command(command, dot, scopes, [value] if number else [])
        for name in pipeline.variables[-1:]:
            if pipeline.declares:
                scopes[-1][name] = value
            else:
                _scope_of(name, scopes)[name] = value
        return value

    def _command(self, command: _Command, dot: object, scopes: _Scopes, last: list[Any]) -> Any:
        if not command.name:
            return self._value(command.arguments[0], dot, scopes)
        if command.name in ("and", "or"):
            return self._logic(command, dot, scopes, last)
        function = self._functions.get(command.name)
        if function is None:
            known = ", ".join(sorted(self._functions))
            raise _Wrong(f"there is no function {command.name!r}; there is {known}")
        arguments = [self._value(argument, dot, scopes) for argument in command.arguments] + last
        try:
            return function(*arguments)
        except TypeError:
            raise _Wrong(f"{command.name} does not take {_counted(arguments)}") from None
        except (LookupError, ValueError) as error:
            raise _Wrong(f"{command.name}: {error}") from None

    def _logic(self, command: _Command, dot: object, scopes: _Scopes, last: list[Any]) -> Any:
        """Nothing behind the value that decides is evaluated."""
        if not command.arguments:
            raise _Wrong(f"{command.name} does not take 0 arguments")
        value: Any = None
        for argument in command.arguments:
            value = self._value(argument, dot, scopes)
            if is_true(value) is (command.name == "or"):
                return value
        return last[0] if last else value

    def _value(self, value: _Value, dot: object, scopes: _Scopes) -> Any:
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
    raise _Wrong(f"there is no variable {name}")


def _field(value: Any, path: Sequence[str], seen: str) -> Any:
    for name in path:
        if value is None:
            return None
        if not isinstance(value, Mapping):
            what = "a text" if isinstance(value, str) else "no object"
            raise _Wrong(f"{seen or '.'} is {what} and has no field {name}")
        if name not in value:
            there = ", ".join(f"{seen}.{key}" for key in sorted(map(str, value))) or "none"
            raise _Wrong(f"there is no {seen}.{name}; there is {there}")
        value, seen = value[name], f"{seen}.{name}"
    return value


def _items(value: Any) -> list[tuple[Any, Any]]:
    """What a range goes over: index and item, key and value, or numbers."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        return sorted(value.items(), key=lambda item: str(item[0]))
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    if isinstance(value, int) and not isinstance(value, bool) and value <= _MOST_ROUNDS:
        return [(number, number) for number in range(value)]
    raise _Wrong(f"range can't go over {shown(value)!r}; it needs a list, a map or a number")


def is_true(value: Any) -> bool:
    """As Go's templates have it."""
    return bool(value)


def shown(value: Any) -> str:
    """A value as Go prints it with %v."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "<no value>"
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(shown, value))}]"
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{key}:{shown(value[key])}' for key in sorted(value, key=str))}]"
    return str(value)


def _counted(arguments: Sequence[Any]) -> str:
    count = len(arguments)
    return f"{count} argument{'' if count == 1 else 's'}" if count else "0 arguments"


# ── functions ────────────────────────────────────────────────────────────────────────────────────────────────────


def _index(value: Any, *keys: Any) -> Any:
    if not keys:
        raise ValueError('takes a map and a key: index .Service.Labels "a.b"')
    for key in keys:
        is_list = isinstance(value, list | tuple | str)
        if is_list and not (isinstance(key, int) and 0 <= key < len(value)):
            raise ValueError(f"there is no item {shown(key)}")
        if not is_list and (not isinstance(value, Mapping) or key not in value):
            raise ValueError(f"there is no key {key!r}")
        value = value[key]
    return value


def _slice(value: Any, *bounds: int) -> Any:
    if not all(isinstance(bound, int) and 0 <= bound <= len(value) for bound in bounds):
        raise ValueError("a bound is outside of what there is")
    return value[slice(*(bounds + (None,) * 2)[:2])] if bounds else value


def _comparable(one: Any, other: Any) -> None:
    kinds = [next((kind for kind in (bool, int | float, str) if isinstance(each, kind)), None) for each in (one, other)]
    if one is not None and other is not None and kinds[0] != kinds[1]:
        raise ValueError(f"{shown(one)!r} and {shown(other)!r} are of different kinds")


def _eq(value: Any, *others: Any) -> bool:
    if not others:
        raise ValueError("takes two values or more")
    for other in others:
        _comparable(value, other)
    return any(value == other for other in others)


def _ordered(compare: Callable[[Any, Any], bool]) -> Function:
    def function(one: Any, other: Any) -> bool:
        _comparable(one, other)
        return compare(one, other)

    return function


def _print(*values: Any) -> str:
    """Go's Sprint: blanks between values when neither is a string."""
    parts: list[str] = []
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            parts.append(" ")
        parts.append(shown(value))
    return "".join(parts)


def _printf(form: str, *items: Any) -> str:
    values = iter(items)
    nothing = object()

    def verb(match: re.Match[str]) -> str:
        flags, width, precision, kind = match.groups()
        if kind == "%":
            return "%"
        value = next(values, nothing)
        if value is nothing:
            raise ValueError(f"{form!r} asks for more values than there are")
        if int(width or 0) > _DEPTH or int(precision or 0) > _DEPTH:
            raise ValueError(f"{match[0]} is wider than {_DEPTH}")
        return _formatted(flags, width, precision, kind, value)

    return _VERB.sub(verb, form)


def _formatted(flags: str, width: str, precision: str | None, kind: str, value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind in "dxXobc" and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        value, is_number = int(value), True  # what Docker has as numbers may be a text here
    if kind in "svq" or (kind == "t" and isinstance(value, bool)):
        text = shown(value)
        text = text[: int(precision)] if precision and kind == "s" else text
        text = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if kind == "q" else text
        return text.ljust(int(width)) if width and "-" in flags else text.rjust(int(width)) if width else text
    if is_number and kind in "dxXoefgEG":
        number = int(value) if kind in "dxXo" else value
        return f"%{flags}{width}{f'.{precision}' if precision else ''}{kind}" % number
    raise ValueError(f"%{kind} does not fit {shown(value)!r}; %s, %v, %q, %t, %d, %x and %f are known")


BUILTINS: Functions = {
    "and": lambda *values: values,  # evaluated as they are read: _logic
    "or": lambda *values: values,
    "not": lambda value: not is_true(value),
    "eq": _eq,
    "ne": lambda one, other: not _eq(one, other),
    "lt": _ordered(lambda one, other: one < other),
    "le": _ordered(lambda one, other: one <= other),
    "gt": _ordered(lambda one, other: one > other),
    "ge": _ordered(lambda one, other: one >= other),
    "len": lambda value: len(value),
    "index": _index,
    "slice": _slice,
    "print": _print,
    "printf": _printf,
    "println": lambda *values: " ".join(map(shown, values)) + "\n",
}
