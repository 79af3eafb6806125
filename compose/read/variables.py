"""Expansion of variables in strings: $V ${V} ${V:-d} ${V-d} ${V:?e} ${V?e} ${V:+x} ${V+x}, also nested.

$$ is a dollar sign, and so is a $ before anything else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_DEPTH = 50


class BadVariable(Exception):
    """The string cannot be expanded; the message says why."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """The expanded text, and the variables that had neither a value nor a default."""

    text: str
    unset: tuple[str, ...] = ()


def expand(text: str, environment: Mapping[str, str]) -> Expanded:
    """Replace the variables. Raises BadVariable for bad syntax, and for `?` on an unset variable."""
    if "$" not in text:
        return Expanded(text)
    reader = _Reader(text, environment)
    result = reader.read_until("")
    return Expanded(result, tuple(dict.fromkeys(reader.unset)))


class _Reader:
    """Parses and expands a string from left to right."""

    def __init__(self, text: str, environment: Mapping[str, str]) -> None:
        self.text = text
        self.environment = environment
        self.position = 0
        self.unset: list[str] = []
        self.quiet = 0
        """Above 0 inside the unused branch of an operator, where unset variables are not reported."""
        self.depth = 0

    def read_until(self, end: str) -> str:
        """The expanded text up to `end`, which is consumed. "" stands for the end of the string."""
        parts: list[str] = []
        while self.position < len(self.text):
            char = self.text[self.position]
            if char == end:
                self.position += 1
                return "".join(parts)
            self.position += 1
            parts.append(self._dollar() if char == "$" else char)
        if end:
            raise BadVariable(f"a variable in {self.text!r} lacks its closing brace")
        return "".join(parts)

    def _dollar(self) -> str:
        following = self.text[self.position : self.position + 1]
        if following == "$":
            self.position += 1
            return "$"
        if following == "{":
            self.position += 1
            return self._braced()
        name = _NAME.match(self.text, self.position)
        if not name:
            return "$"  # "$?", "$(date)", "5$" are left to a shell or a regular expression
        self.position = name.end()
        return self._plain(name[0])

    def _braced(self) -> str:
        name = _NAME.match(self.text, self.position)
        if not name:
            raise BadVariable(f"{self.text!r} has ${{ without a variable's name behind it")
        self.position = name.end()
        operator = _OPERATOR.match(self.text, self.position)
        if operator:
            self.position = operator.end()
            return self._operate(name[0], operator[0])
        if self.text[self.position : self.position + 1] != "}":
            raise BadVariable(f"{self.text!r}: expected }} or one of :- - :? ? :+ + behind {name[0]}")
        self.position += 1
        return self._plain(name[0])

    def _plain(self, name: str) -> str:
        value = self.environment.get(name)
        if value is None and not self.quiet:
            self.unset.append(name)
        return value or ""

    def _operate(self, name: str, operator: str) -> str:
        value = self.environment.get(name)
        is_set = bool(value) if operator.startswith(":") else value is not None
        kind = operator[-1]
        word_is_used = is_set if kind == "+" else not is_set
        word = self._word(used=word_is_used)
        if kind == "?" and not is_set:
            if self.quiet:
                return ""
            state = "is not set" if value is None else "is empty"
            raise BadVariable(f"variable {name} {state}" + (f": {word}" if word else ", and must be"))
        if kind == "+":
            return word if is_set else ""
        return (value or "") if is_set else word

    def _word(self, *, used: bool) -> str:
        self.depth += 1
        if self.depth > _DEPTH:
            raise BadVariable(f"variables are nested more than {_DEPTH} deep")
        self.quiet += not used
        try:
            return self.read_until("}")
        finally:
            self.quiet -= not used
            self.depth -= 1
