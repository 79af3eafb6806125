"""Descriptions of YAML syntax errors.

Derived from the parser's position, the text there and the construct being parsed. The parser's own messages are not
shown, because they change with its releases.
"""

from __future__ import annotations

import re

import yaml

_ALIAS = re.compile(r"\*[^\s,\[\]{}]+")
_RESERVED = "@`%"
_OPEN = {"[": "]", "{": "}"}


def syntax_problem(text: str, error: yaml.MarkedYAMLError) -> str:
    """A clause that says what is wrong at the place of the error."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return "the parser cannot go on"
    if _has_tab(text, mark):
        return "there is a tab; indent with spaces"
    here = text[mark.index : mark.index + 1]
    if found := _ALIAS.match(text, mark.index):
        return f"the alias {found[0]} has no anchor &{found[0][1:]} before it"
    if opened := _opened(text, error.context_mark):
        return opened
    if here == ":":
        return "a ':' is not allowed here; quote the text, or is the line above indented differently?"
    if here and here in _RESERVED:
        return f"a text cannot begin with '{here}'; quote it"
    if here and here in "]},":
        return f"there is a '{here}' that nothing needs"
    if line := _lacks_colon(text, error.context_mark):
        return f"line {line} has no ':' after its key"
    if not here:
        return "the text ends too early"
    return f"what begins with {_excerpt(text, mark)} does not fit what stands above it; is it indented differently?"


def _has_tab(text: str, mark: yaml.Mark) -> bool:
    """Whether there is a tab at the mark or in the line's indentation, where it is invisible."""
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    return line[mark.column : mark.column + 1] == "\t" or "\t" in line[: len(line) - len(line.lstrip())]


def _opened(text: str, begin: yaml.Mark | None) -> str:
    """A clause about the unclosed quote or bracket at the mark; "" when there is none."""
    sign = text[begin.index : begin.index + 1] if begin else ""
    if begin is not None and sign and sign in "\"'":
        return f"the quote opened on line {begin.line + 1} is not closed, or holds what it cannot"
    if begin is not None and sign in _OPEN:
        return f"the '{sign}' of line {begin.line + 1} is not closed by '{_OPEN[sign]}', or a ',' is missing"
    return ""


def _lacks_colon(text: str, begin: yaml.Mark | None) -> int:
    """The number of the line at the mark if it is a key without a colon; otherwise 0."""
    line = text[begin.index :].split("\n", 1)[0] if begin else ""
    return begin.line + 1 if begin and line[:1].isalnum() and ":" not in line else 0


def _excerpt(text: str, mark: yaml.Mark) -> str:
    words = text[mark.index : mark.index + 60].split("\n", 1)[0].split()
    return repr(words[0][:30]) if words else "this line"
