"""Where a plain value (of JSON) does not have the shape of a type, in our words.

msgspec finds that a value does not fit; its sentences are its own and change with its releases. This walks the value
along the type and names the first place that does not fit, by path, with what is needed there.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

_LONGEST_SHOWN = 60


def mismatch(kind: Any, raw: object) -> str:
    """`Path.To.Field: what is needed there, not what is there`, of the first place that does not fit; never empty."""
    return _find(shape_of(kind), raw, "") or "the value does not have the form that is needed"


def shape_of(kind: Any) -> inspect.Type:
    """The type as msgspec describes it."""
    return _described(kind)


@cache
def _described(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _find(shape: inspect.Type, raw: object, path: str) -> str:
    """Depth first, so that the smallest wrong part is named."""
    for option in options(shape):
        if found := _inside(option, raw, path):
            return found
    if _fits(shape, raw):
        return ""
    if isinstance(raw, str) and (choices := _choices(shape)):
        return f"{path or 'the body'}: {_told(raw)} is none of {', '.join(choices)}"
    needed = f"must be {_needed(shape)}, not {_told(raw)}"
    return f"{path}: {needed}" if path else f"the body {needed}"


def _inside(shape: inspect.Type, raw: object, path: str) -> str:
    match shape, raw:
        case inspect.StructType(), dict():
            return _in_struct(shape, raw, path)
        case inspect.DictType(), dict():
            parts = ((shape.value_type, item, _join(path, str(name))) for name, item in raw.items())
        case inspect.ListType() | inspect.VarTupleType(), list():
            parts = ((shape.item_type, item, f"{path}[{number}]") for number, item in enumerate(raw))
        case inspect.TupleType(), list():
            pairs = enumerate(zip(shape.item_types, raw, strict=False))
            parts = ((kind, item, f"{path}[{number}]") for number, (kind, item) in pairs)
        case _:
            return ""
    return next((found for kind, item, where in parts if (found := _find(kind, item, where))), "")


def _in_struct(shape: inspect.StructType, raw: dict[Any, Any], path: str) -> str:
    for field in shape.fields:
        where = _join(path, field.encode_name)
        if field.encode_name in raw:
            if found := _find(field.type, raw[field.encode_name], where):
                return found
        elif field.required:
            return f"{where}: is needed"
    return ""


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _fits(shape: inspect.Type, raw: object) -> bool:
    """Whether the value itself, its parts aside, is of the shape."""
    return any(_is(option, raw) for option in options(shape))


def _is(shape: inspect.Type, raw: object) -> bool:
    match shape:
        case inspect.StructType() | inspect.DictType():
            return isinstance(raw, dict)
        case inspect.ListType() | inspect.VarTupleType():
            return isinstance(raw, list)
        case inspect.TupleType():
            return isinstance(raw, list) and len(raw) == len(shape.item_types)
        case inspect.EnumType():
            return _converts(shape.cls, raw)
        case inspect.LiteralType():
            return any(raw == value and type(raw) is type(value) for value in shape.values)
        case inspect.AnyType() | inspect.RawType():
            return True
        case inspect.NoneType():
            return raw is None
        case inspect.BoolType():
            return isinstance(raw, bool)
        case inspect.IntType():
            # as msgspec and Go's readers of whole numbers have it, 3.0 is 3
            return not isinstance(raw, bool) and isinstance(raw, int | float) and _converts(int, raw)
        case inspect.FloatType():
            return not isinstance(raw, bool) and isinstance(raw, int | float)
        case inspect.StrType():
            return isinstance(raw, str)
        case inspect.BytesType():
            return isinstance(raw, str) and _converts(bytes, raw)
        case _:
            return True


def _converts(kind: Any, raw: object) -> bool:
    try:
        msgspec.convert(raw, kind)
    except msgspec.ValidationError:
        return False
    return True


def options(shape: inspect.Type) -> tuple[inspect.Type, ...]:
    """The members of a union; of any other type itself."""
    return tuple(shape.types) if isinstance(shape, inspect.UnionType) else (shape,)


def _needed(shape: inspect.Type) -> str:
    words = [_name(option) for option in options(shape) if not isinstance(option, inspect.NoneType)]
    return " or ".join(dict.fromkeys(words)) or "null"


def _name(shape: inspect.Type) -> str:
    match shape:
        case inspect.StructType() | inspect.DictType():
            return "an object"
        case inspect.ListType() | inspect.VarTupleType() | inspect.TupleType():
            return "a list"
        case inspect.EnumType() | inspect.LiteralType():
            return "one of " + ", ".join(_choices(shape))
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number"
        case inspect.FloatType():
            return "a number"
        case inspect.BytesType():
            return "base64 text"
        case _:
            return "a string"


def _choices(shape: inspect.Type) -> list[str]:
    """The texts to choose from; none where any text will do."""
    known: list[object] = []
    for option in options(shape):
        if isinstance(option, inspect.EnumType):
            known += [choice.value for choice in option.cls]
        elif isinstance(option, inspect.LiteralType):
            known += option.values
    return [str(value) for value in known if value != ""]


def _told(raw: object) -> str:
    match raw:
        case None:
            return "null"
        case bool():
            return "true" if raw else "false"
        case int() | float():
            return str(raw)[:_LONGEST_SHOWN]
        case str():
            return repr(raw if len(raw) <= _LONGEST_SHOWN else raw[:_LONGEST_SHOWN] + "…")
        case dict():
            return "an object"
        case _:
            return "a list"
