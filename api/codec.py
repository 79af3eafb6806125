"""Values to bytes and back: the one place that knows how they are written, in etcd, over HTTP and on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

import msgspec

from api.bounds import read_json
from api.engine.unsupported_fields import LACKING
from api.errors import ArgosyError, Invalid, Unimplemented
from api.field_names import docker_name
from api.mismatch import mismatch

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")
_encoder = msgspec.json.Encoder(order="deterministic")
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


class Value(msgspec.Struct, frozen=True, omit_defaults=True, rename=docker_name, gc=False):
    """Base of everything that is stored or sent: frozen, compact, spelled as the Engine API spells it.

    Values are trees, so the cyclic garbage collector need not look at them: a manager holds hundreds of thousands.
    """


def encode(value: object) -> bytes:
    """The JSON of a value; fields at their default are left out."""
    return _encoder.encode(value)


def decode(kind: TypeForm[T], data: bytes | str) -> T:
    """A value from JSON of ours, of a type or a union of types; unknown fields (of later versions) are left out."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    value: T = decoder.decode(data)
    return value


def plain(value: object) -> Any:
    """The value as plain dicts, lists and scalars, spelled as outside."""
    return msgspec.to_builtins(value)


@cache
def fields_of(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """A type's fields; msgspec evaluates all annotations anew each time it is asked."""
    return msgspec.structs.fields(kind)


@cache
def _hints_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return get_type_hints(kind)


def shown(value: object) -> Any:
    """The value as an API answer shows it: like `plain`, but with defaults that are not zero (`tcp`, `bind`).

    Go clients take what is missing for zero, so zeros at their default are left out, as Docker does.
    """
    if isinstance(value, msgspec.Struct):
        fields = ((f.encode_name, getattr(value, f.name), f) for f in fields_of(type(value)))
        return {name: shown(item) for name, item, field in fields if not _is_silent(item, field)}
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    return msgspec.to_builtins(value)


def _is_silent(item: object, field: msgspec.structs.FieldInfo) -> bool:
    if item is None:
        return True
    # 0 and False are news where nothing said would be None
    return not item and not isinstance(item, msgspec.Struct) and field.default is not None


def decode_user(kind: type[T], data: bytes | str) -> T:
    """A value from JSON a user sent.

    Raises Invalid for an empty body, bad JSON, wrong types, and fields that do not exist; Unimplemented for fields
    that Docker has.
    """
    if not data:
        raise Invalid("the request body is empty; a JSON object is needed")
    return convert_user(kind, read_json(data, "the request body"))


def convert_user(kind: type[T], raw: object) -> T:
    """Like decode_user, from plain values (api/bounds.py)."""
    try:
        value = msgspec.convert(raw, kind)
    except msgspec.ValidationError:
        raise Invalid(mismatch(kind, raw)) from None
    if unknown := list(unknown_fields(kind, raw)):
        raise _unknown(unknown)
    return value


def _unknown(paths: list[str]) -> ArgosyError:
    """What is Docker's and not ours is told as such, once nothing is simply wrong."""
    lacking = {path: LACKING.get(path.rpartition(".")[2], "") for path in paths}
    if wrong := [path for path, why in lacking.items() if not why]:
        return Invalid(f"unknown field {', '.join(wrong)}")
    return Unimplemented("; ".join(f"{path.removeprefix('$.')}: {why}" for path, why in lacking.items()))


def unknown_fields(kind: Any, raw: object, path: str = "$") -> Iterator[str]:
    """Paths of the fields in `raw` that `kind` does not have. Null and empty ones do not count."""
    if isinstance(raw, dict) and (struct := _struct_of(kind)):
        hints = _hints_of(struct)
        fields = {f.encode_name: hints[f.name] for f in fields_of(struct)}
        for name, item in raw.items():
            if name in fields:
                yield from unknown_fields(fields[name], item, f"{path}.{name}")
            elif item not in (None, "", 0, False, [], {}):
                yield f"{path}.{name}"
    elif isinstance(raw, list):
        for number, item in enumerate(raw):
            yield from unknown_fields(_item_of(kind), item, f"{path}[{number}]")


def _struct_of(kind: Any) -> type[msgspec.Struct] | None:
    for option in (kind, *get_args(kind)):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return option
    return None


def _item_of(kind: Any) -> Any:
    for option in (kind, *get_args(kind)):
        if getattr(option, "__origin__", None) in (list, tuple):
            return get_args(option)[0]
    return Any
