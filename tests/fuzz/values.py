"""Values that clients may send: of the right type, nearly right, and absurd; all from one source of chance."""

from __future__ import annotations

import random
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from api.codec import fields_of

HOSTILE_TEXT = (
    "", " ", "\0", "a\0b", "..", "../../etc/passwd", "/", "//", "%00", "%", "%zz", "\ud800", "é" * 300, "a" * 300,
    "a" * 5000, "\r\nX: y", "{{.}}", "{{", "${x}", "-1", "1e308", "NaN", "null", "true", "10" * 40, "🚢", "\u202e",
    "sha256:" + "0" * 64, "self",
    "SIGFOO", "0x10", "٣", "1.5m", "; ls", "'", '"', "\\", "\t", "host", "none", "ingress",
    "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0000-00-00", "-inf", "k=v", "k!=v", "[::1]:80", "a/b:c@d",
    "1h30m", "10.0.0.0/8", "fe80::1", "c 1:3 rwm", "nfs", "SIGTERM", "cron(* * * * *)", "json-file", "max-size",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 80, 255, 65535, 65536, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30, -(2**63), 10**400,
)  # fmt: skip
FLOATS = (0.5, -0.0, 1e308, -1e308, 1e-300, 1.5, 1e18)


class Values:
    """Draws values."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def text(self, known: tuple[str, ...] = ()) -> str:
        """One that exists, a plain word, or a hostile one."""
        draw = self.rng.random()
        if known and draw < 0.5:
            return self.rng.choice(known)
        if draw < 0.7:
            return self.rng.choice(("web", "db", "a", "x1", "demo:1", "/tmp", "1", "front"))
        return self.rng.choice(HOSTILE_TEXT)

    def number(self) -> int:
        """Small mostly."""
        return self.rng.randrange(-2, 100) if self.rng.random() < 0.5 else self.rng.choice(NUMBERS)

    def anything(self, depth: int = 3) -> Any:
        """Any JSON value."""
        draw = self.rng.randrange(8 if depth else 6)
        if draw == 6:
            return [self.anything(depth - 1) for _ in range(self.rng.randrange(4))]
        if draw == 7:
            return {self.text(): self.anything(depth - 1) for _ in range(self.rng.randrange(4))}
        return (None, True, False, self.number(), self.rng.choice(FLOATS), self.text())[draw]

    def of(self, kind: Any, depth: int = 6) -> Any:
        """JSON for a type, mostly right; fields are left out at random."""
        if self.rng.random() < 0.03 or depth < 0:
            return self.anything(2)
        origin = get_origin(kind)
        if origin is Literal:
            return self.rng.choice(get_args(kind))
        if origin is Union or type(kind).__name__ == "UnionType":
            return self.of(self.rng.choice(get_args(kind)), depth)
        if origin in (list, tuple):
            return [self.of(get_args(kind)[0], depth - 1) for _ in range(self.rng.choice((0, 1, 1, 2, 3)))]
        if origin is dict:
            return {self.text(): self.of(get_args(kind)[1], depth - 1) for _ in range(self.rng.randrange(3))}
        if isinstance(kind, type) and issubclass(kind, Enum):
            return self.rng.choice([choice.value for choice in kind])
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._struct(kind, depth)
        return self._scalar(kind)

    def _struct(self, kind: type[msgspec.Struct], depth: int) -> dict[str, Any]:
        hints = get_type_hints(kind)
        chosen = [field for field in fields_of(kind) if field.required or self.rng.random() < 0.35]
        made = {self._cased(field.encode_name): self.of(hints[field.name], depth - 1) for field in chosen}
        if self.rng.random() < 0.03:
            made[self.text()] = self.anything(1)
        return made

    def _cased(self, name: str) -> str:
        return self.rng.choice((name.lower(), name.upper())) if self.rng.random() < 0.02 else name

    def _scalar(self, kind: Any) -> Any:
        if kind is str:
            return self.text()
        if kind is bool:
            return self.rng.random() < 0.5
        if kind is int:
            return self.number()
        if kind is float:
            return self.rng.choice(FLOATS)
        if kind is bytes:
            return self.rng.choice(("", "aGVsbG8=", "%%%", "a" * 3, "QQ==" * 200))
        return None if kind is type(None) else self.anything(2)
