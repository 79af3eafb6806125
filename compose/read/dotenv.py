"""Parser of `.env` and `env_file`: KEY=VALUE lines with quotes, comments, `export`, and variables."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from compose.read.variables import BadVariable, expand

_LINE = re.compile(r"\s*(?:export\s+)?([\w.\-\[\]]+)\s*(?:[=:](.*))?$", re.DOTALL)
_COMMENT = re.compile(r"\s#")
_ESCAPED = re.compile(r"\\(?:0([0-7]{3})|(.))", re.DOTALL)
_ESCAPES = {**dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)), '"': '"', "\\": "\\", "$": "$$"}


class BadLine(Exception):
    """A line is not an assignment; the text says which one and why."""

    def __init__(self, sentence: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {sentence}" if line else sentence)
        self.sentence = sentence
        self.line = line


@dataclass(slots=True)
class EnvFileLines:
    """The variables of a file, and its bad lines."""

    values: dict[str, str | None] = field(default_factory=dict)
    """In the order of the file. None for a name without a value, which callers take from the environment."""
    problems: list[BadLine] = field(default_factory=list)
    unset: list[tuple[str, int]] = field(default_factory=list)
    """Variables that are used but not set, with their lines."""


def parse(text: str, environment: Mapping[str, str], *, raw: bool = False) -> dict[str, str | None]:
    """The variables of a file. Raises BadLine for the first bad line."""
    found = assignments(text, environment, raw=raw)
    for problem in found.problems:
        raise problem
    return found.values


def assignments(text: str, environment: Mapping[str, str], *, raw: bool = False) -> EnvFileLines:
    """The variables and the bad lines of a file. Values outside single quotes may use variables of `environment` and of
    earlier lines.

    `raw`: values are taken literally up to the end of the line, as `docker run --env-file` does.
    """
    found = EnvFileLines()
    known: dict[str, str] = {}
    variables = ChainMap({**environment}, known)
    lines = enumerate(re.split(r"\r\n|\n|\r", text.removeprefix("\ufeff")), 1)
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            name, value = _raw(line) if raw else _assignment(line, lines)
            if value is not None and not raw:
                value = known[name] = _value(value, variables, found.unset, number)
        except (BadVariable, BadLine) as error:
            found.problems.append(BadLine(str(error), number))
            continue
        found.values[name] = value
    return found


def _raw(line: str) -> tuple[str, str | None]:
    name, equals, value = line.lstrip().partition("=")
    if not name or re.search(r"\s", name):
        raise BadLine(f"{line.strip()!r} is not of the form NAME=value")
    return name, value if equals else None


def _assignment(line: str, following: Iterator[tuple[int, str]]) -> tuple[str, str | None]:
    """A name and its value. A quoted value may continue on the following lines."""
    match = _LINE.match(line)
    if not match:
        raise BadLine(f"{line.strip()!r} is not of the form NAME=value")
    name, value = match[1], match[2]
    while value is not None and _is_open(value):
        _, further = next(following, (0, None))
        if further is None:
            break
        value += "\n" + further
    return name, value


def _is_open(value: str) -> bool:
    text = value.lstrip()
    return text[:1] in ("'", '"') and _closing(text) < 0


def _closing(text: str) -> int:
    """Index of the quote that ends a quoted value; -1 when there is none."""
    index = 1
    while index < len(text):
        if text[index] == "\\":
            index += 1
        elif text[index] == text[0]:
            return index
        index += 1
    return -1


def _value(value: str, environment: Mapping[str, str], unset: list[tuple[str, int]], line: int) -> str:
    """A value without its quotes and comment. `VAR=#a` has no comment: the # does not follow a space."""
    text = value.strip()
    if text[:1] not in ("'", '"'):
        return _expanded(_COMMENT.split(value, maxsplit=1)[0].strip(), environment, unset, line)
    end = _closing(text)
    if end < 0:
        raise BadLine("the quote is not closed")
    if (rest := text[end + 1 :].strip()) and not rest.startswith("#"):
        raise BadLine(f"{rest!r} stands behind the closing quote")
    if text[0] == "'":
        return re.sub(r"\\(['\\])", lambda m: "'" if m[1] == "'" else m[0], text[1:end])
    return _expanded(_ESCAPED.sub(_unescaped, text[1:end]), environment, unset, line)


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 8)) if match[1] else _ESCAPES.get(match[2], match[0])


def _expanded(text: str, environment: Mapping[str, str], unset: list[tuple[str, int]], line: int) -> str:
    expanded = expand(text, environment)
    unset += [(name, line) for name in expanded.unset]
    return expanded.text
