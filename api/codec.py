"""Values to bytes and back: the one place that knows how they are written, in etcd, over HTTP and on the wire."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from api.field_names import docker_name

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")
_encoder = msgspec.json.Encoder(order="deterministic")
_shown_encoder = msgspec.json.Encoder()
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


def shown(value: object) -> Any:
    """The value as an API answer shows it: like `plain`, but with defaults that are not zero (`tcp`, `bind`).

    Go clients take what is missing for zero, so zeros at their default are left out, as Docker does.
    """
    if isinstance(value, msgspec.Struct):
        fields = ((f.encode_name, getattr(value, f.name), f) for f in fields_of(type(value)))
        return {name: shown(item) for name, item, field in fields if not _is_silent(item, field)}
    if isinstance(value, dict):
        return {key: shown(value[key]) for key in sorted(value)}  # as Go writes maps
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    return msgspec.to_builtins(value)


def shown_json(value: object) -> msgspec.Raw:
    """The JSON of a shown value, to be put into answers; its fields stay in their order."""
    return msgspec.Raw(_shown_encoder.encode(value))


def _is_silent(item: object, field: msgspec.structs.FieldInfo) -> bool:
    if item is None:
        return True
    # 0 and False are news where nothing said would be None
    return not item and not isinstance(item, msgspec.Struct) and field.default is not None
