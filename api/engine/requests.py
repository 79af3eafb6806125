"""Reading of request bodies as Docker reads them: JSON with the rules of Go's encoding/json.

A key means the field with exactly this name, else the one that differs only in case; of two keys for one field the
later one counts. So `{"mode": {"global": {}}}` is a global service here, as it is for Docker. Keys of free-form maps
(labels, options) are data and stay as they are. An unknown key is ignored, except when Docker has such a field and
Argosy does not (unsupported_fields.py): then the request is refused, and not answered as if it had been honoured. Our
own clients know the schema: for them (`strict`) an unknown key is an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TypeVar

import msgspec
from msgspec import inspect

from api.bounds import read_json
from api.engine.unsupported_fields import LACKING
from api.errors import ArgosyError, Invalid, Unimplemented
from api.mismatch import mismatch, options, shape_of

T = TypeVar("T")
_EMPTY: tuple[object, ...] = (None, "", 0, False, [], {})
"""Values of an unknown field that ask for nothing."""


def read_request(kind: type[T], data: bytes | str, *, strict: bool = False) -> T:
    """A value from the JSON body of a request.

    Raises Invalid for an empty body, bad JSON, wrong types and, if `strict`, unknown fields, with the field's path;
    Unimplemented for fields that Docker has and Argosy does not.
    """
    if not data:
        raise Invalid("the request body is empty; a JSON object is needed")
    return convert_request(kind, read_json(data, "the request body"), strict=strict)


def convert_request(kind: type[T], raw: object, *, strict: bool = False) -> T:
    """Like read_request, from plain values (of api.bounds.read_json)."""
    unknown: list[str] = []
    spelled = _spelled(shape_of(kind), raw, "", unknown)
    try:
        value = msgspec.convert(spelled, kind)
    except msgspec.ValidationError:
        raise Invalid(mismatch(kind, spelled)) from None
    if refusal := _refusal(unknown, strict):
        raise refusal
    return value


def _refusal(unknown: Iterable[str], strict: bool) -> ArgosyError | None:
    """The error about unknown fields, or None. Misspelled fields are reported before fields that Argosy lacks."""
    reasons = {path: _LACKING.get(_folded(path.rpartition(".")[2]), "") for path in unknown}
    mistakes = [f"$.{path}" for path, reason in reasons.items() if not reason]
    if strict and mistakes:
        return Invalid(f"unknown field {', '.join(mistakes)}")
    lacking = [f"{path}: {reason}" for path, reason in reasons.items() if reason]
    return Unimplemented("; ".join(lacking)) if lacking else None


def _spelled(shape: inspect.Type, raw: object, path: str, unknown: list[str]) -> object:
    """The plain value with the keys of all objects spelled as the schema spells them; collects unknown keys' paths."""
    for option in options(shape):
        match option, raw:
            case inspect.StructType(), dict():
                return _object(option.cls, raw, path, unknown)
            case inspect.DictType(), dict():
                return {key: _spelled(option.value_type, raw[key], _join(path, key), unknown) for key in raw}
            case inspect.ListType() | inspect.VarTupleType(), list():
                items = enumerate(raw)
                return [_spelled(option.item_type, item, f"{path}[{n}]", unknown) for n, item in items]
    return raw


def _object(struct: type[msgspec.Struct], raw: dict[str, object], path: str, unknown: list[str]) -> dict[str, object]:
    fields, spellings = _fields(struct), _spellings(struct)
    read: dict[str, object] = {}
    for key, item in raw.items():
        name = key if key in fields else spellings.get(_folded(key))
        if name is not None:
            read[name] = _spelled(fields[name], item, _join(path, name), unknown)
        elif item not in _EMPTY:
            unknown.append(_join(path, key))
    return read


@cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, inspect.Type]:
    """The types of a struct's fields by their names in JSON."""
    shape = shape_of(struct)
    return {field.encode_name: field.type for field in shape.fields} if isinstance(shape, inspect.StructType) else {}


@cache
def _spellings(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The names of a struct's fields by their folded names."""
    return {_folded(name): name for name in _fields(struct)}


def _folded(key: str) -> str:
    """The key without its case, as Go compares keys: beyond ASCII only ſ and the Kelvin sign (lower() has it) fold."""
    return key.replace("\N{LATIN SMALL LETTER LONG S}", "s").lower()


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


_LACKING: dict[str, str] = {_folded(name): reason for name, reason in LACKING.items()}
