"""The format of `.env` and `env_file`: KEY=VALUE lines with quotes, comments, `export`, and variables."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping

from compose.variables import BadVariable, expand

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.\-]*)\s*(?:[=:]\s?(.*))?$", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$$"}


class BadLine(Exception):
    """A line that is no assignment; says which and why."""

    def __init__(self, sentence: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {sentence}" if line else sentence)
        self.sentence = sentence
        self.line = line


def parse(text: str, environment: Mapping[str, str], *, raw: bool = False) -> dict[str, str | None]:
    """The assignments in order; None for a bare name (taken from the environment by whoever asks).

    Values may use variables of `environment` and of earlier lines, but not in single quotes or when `raw`.
    Raises BadLine.
    """
    found: dict[str, str | None] = {}
    known: dict[str, str] = {}
    above = dict(environment)
    lines = re.split(r"\r\n|\n|\r", text.removeprefix("\ufeff"))
    number = 0
    while number < len(lines):
        line, first = lines[number], number + 1
        number += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.match(line)
        if not match:
            raise BadLine(f"{line.strip()!r} is not of the form NAME=value", first)
        name, value = match[1], match[2]
        while not raw and value is not None and _is_open(value) and number < len(lines):
            value += "\n" + lines[number]
            number += 1
        try:
            found[name] = value if value is None or raw else _value(value.strip(), ChainMap(above, known))
        except (BadVariable, BadLine) as error:
            raise BadLine(str(error), first) from None
        if (known_value := found[name]) is not None:
            known[name] = known_value
    return found


def _is_open(value: str) -> bool:
    text = value.lstrip()
    return text[:1] in ("'", '"') and _closing(text) < 0


def _closing(text: str) -> int:
    """Index of the quote that ends a quoted value; -1 when there is none."""
    index = 1
    while index < len(text):
        if text[index] == "\\" and text[0] == '"':
            index += 1
        elif text[index] == text[0]:
            return index
        index += 1
    return -1


def _value(text: str, environment: Mapping[str, str]) -> str:
    if text[:1] not in ("'", '"'):
        bare = re.split(r"(?:^|\s)#", text, maxsplit=1)[0].rstrip()
        return expand(bare, environment).text
    end = _closing(text)
    if end < 0:
        raise BadLine("the quote is not closed")
    if (rest := text[end + 1 :].strip()) and not rest.startswith("#"):
        raise BadLine(f"{rest!r} stands behind the closing quote")
    if text[0] == "'":
        return text[1:end]
    inner = re.sub(r"\\([nrt\"\\$])", lambda m: _ESCAPES[m[1]], text[1:end])
    return expand(inner, environment).text
