"""The parser of Go's templates: text to a tree of blocks, actions and pipelines. See go_template.py. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
_LONGEST_KEPT = 1024
"""Characters of the longest template whose tree is cached, so that users cannot fill the memory."""
_DEPTH = 100
"""Levels of blocks and parentheses."""


class BadTemplate(Exception):
    """The template cannot be used; the sentence says why and names the action."""


class ActionError(Exception):
    """An error in the action that is being parsed or evaluated."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A constant, a field, a variable, or a pipeline in parentheses."""

    kind: str
    content: Any
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """A function with arguments; or a single value (`name` is "")."""

    name: str
    arguments: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each with the previous one's value as its last argument, and the variables that get the last value."""

    source: str
    commands: tuple[Command, ...]
    variables: tuple[str, ...] = ()
    declares: bool = False


@dataclass(slots=True)
class Block:
    """`if`, `with`, `range`, or the template itself (""). An `else if` is the only block in `otherwise`."""

    keyword: str
    pipeline: Pipeline | None = None
    body: list[Part] = field(default_factory=list)
    otherwise: list[Part] = field(default_factory=list)
    closes: int = 1
    """How many blocks its `end` closes: an `else if` opens a block without an `end` of its own."""


Part = str | Pipeline | Block | type[Exception]


class Break(Exception):
    """{{break}}."""


class Continue(Exception):
    """{{continue}}."""


# ── parsing ──────────────────────────────────────────────────────────────────────────────────────────────────────


def parsed(text: str) -> Block:
    """The template's tree. Raises BadTemplate."""
    return _kept(text) if len(text) <= _LONGEST_KEPT else _read(text)


def _read(text: str) -> Block:
    root = Block("")
    blocks, targets = [root], [root.body]
    for part in _parts(text):
        if isinstance(part, str):
            targets[-1].append(part)
            continue
        source, tokens = part
        try:
            _take(source, tokens, blocks, targets)
        except ActionError as wrong:
            raise BadTemplate(f"template {{{{{source}}}}}: {wrong}") from None
    if len(blocks) > 1:
        raise BadTemplate(f"template: {{{{{blocks[-1].keyword} …}}}} lacks its {{{{end}}}}")
    return root


_kept = functools.lru_cache(maxsize=1024)(_read)


def _parts(text: str) -> Iterator[str | tuple[str, list[tuple[str, str]]]]:
    """The texts between actions, and each action's source and tokens."""
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
    """An action's source, its tokens (None for a comment), its end, and whether the text behind it is trimmed."""
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
    """Where the end of an action may begin: behind the spaces, except the one that belongs to a trim mark."""
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


def _take(source: str, tokens: list[tuple[str, str]], blocks: list[Block], targets: list[list[Part]]) -> None:
    """Add one action to the innermost block, or open or close a block with it."""
    word = tokens[0][1] if tokens and tokens[0][0] == "word" else ""
    if word in _REFUSED:
        raise ActionError(f"{word!r} is not supported")
    if word in _BLOCKS:
        _begin(Block(word, _Reader(source, tokens[1:]).pipeline(word == "range")), blocks, targets)
    elif word == "else":
        _else(source, tokens[1:], blocks, targets)
    elif word == "end" and len(tokens) == 1:
        if len(blocks) == 1:
            raise ActionError("there is no block to end")
        for _ in range(blocks[-1].closes):
            blocks.pop()
            targets.pop()
    elif word in ("break", "continue") and len(tokens) == 1:
        targets[-1].append(Break if word == "break" else Continue)
    else:
        targets[-1].append(_Reader(source, tokens).pipeline(is_action=True))


def _begin(block: Block, blocks: list[Block], targets: list[list[Part]]) -> None:
    if len(blocks) > _DEPTH:
        raise ActionError(f"blocks are nested more than {_DEPTH} deep")
    targets[-1].append(block)
    blocks.append(block)
    targets.append(block.body)


def _else(source: str, rest: list[tuple[str, str]], blocks: list[Block], targets: list[list[Part]]) -> None:
    block = blocks[-1]
    if not block.keyword or targets[-1] is block.otherwise:
        raise ActionError("there is no block that it could belong to")
    targets[-1] = block.otherwise
    if not rest:
        return
    if rest[0] not in (("word", "if"), ("word", "with")) or block.keyword == "range":
        raise ActionError("after 'else' there is nothing, or 'if' with a condition")
    inner = Block(rest[0][1], _Reader(source, rest[1:]).pipeline(), closes=block.closes + 1)
    _begin(inner, blocks, targets)


class _Reader:
    """Parses the pipeline of one action."""

    def __init__(self, source: str, tokens: Sequence[tuple[str, str]]) -> None:
        self._source = source
        self._tokens = list(tokens)
        self._depth = 0

    def pipeline(self, is_range: bool = False, *, is_action: bool = False) -> Pipeline:
        """The pipeline of all tokens. Raises ActionError."""
        variables, declares = self._variables(is_range)
        if not declares and variables and not is_action:
            raise ActionError("a variable is declared with :=")
        found = Pipeline(self._source, self._commands(), variables, declares)
        if self._tokens:
            raise ActionError(f"{self._tokens[0][1]!r} was not expected")
        return found

    def _variables(self, is_range: bool) -> tuple[tuple[str, ...], bool]:
        """The variables set at the beginning, and whether they are declared there."""
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

    def _commands(self) -> tuple[Command, ...]:
        commands = [self._command()]
        while self._next(("sign", "|")):
            commands.append(self._command())
            if not commands[-1].name:
                raise ActionError("what stands after '|' must be a function")
        return tuple(commands)

    def _command(self) -> Command:
        name = ""
        if self._tokens and self._tokens[0][0] == "word" and self._tokens[0][1] not in _CONSTANTS:
            name = self._tokens.pop(0)[1]
        arguments = []
        while self._tokens and self._tokens[0] not in (("sign", "|"), ("sign", ")")):
            arguments.append(self._value())
            if not name:
                break
        if not name and not arguments:
            raise ActionError("a value is missing")
        return Command(name, tuple(arguments))

    def _value(self) -> Operand:
        kind, token = self._tokens.pop(0)
        if kind == "field":
            return Operand("field", None, tuple(part for part in token.split(".") if part))
        if kind == "variable":
            name, *path = token.split(".")
            return Operand("variable", name, tuple(path))
        if kind in ("string", "char"):
            text = token[1:-1] if token[0] == "`" else _unquoted(token)
            return Operand("constant", ord(text) if kind == "char" else text)
        if kind == "number":
            return Operand("constant", float(token) if "." in token else int(token))
        if kind == "word" and token in _CONSTANTS:
            return Operand("constant", _CONSTANTS[token])
        if token == "(":
            return self._parenthesis()
        if kind == "word":
            return Operand("call", Command(token, ()))
        raise ActionError(f"{token!r} is not a value; strings stand in quotes, fields begin with a dot")

    def _parenthesis(self) -> Operand:
        self._depth += 1
        if self._depth > _DEPTH:
            raise ActionError(f"parentheses are nested more than {_DEPTH} deep")
        inner = Pipeline(self._source, self._commands())
        self._depth -= 1
        if not self._next(("sign", ")")):
            raise ActionError("')' is missing")
        path: tuple[str, ...] = ()
        if self._tokens and self._tokens[0][0] == "field":
            path = tuple(part for part in self._tokens.pop(0)[1].split(".") if part)
        return Operand("pipeline", inner, path)

    def _next(self, token: tuple[str, str]) -> bool:
        if self._tokens and self._tokens[0] == token:
            self._tokens.pop(0)
            return True
        return False


_CONSTANTS: Mapping[str, Any] = {"true": True, "false": False, "nil": None}


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t", "r": "\r"}.get(m[1], m[1]), token[1:-1])
