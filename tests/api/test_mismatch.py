"""Where a value does not have the shape of its type, in words of our own."""

from __future__ import annotations

from types import UnionType
from typing import Any, Literal, get_args

import msgspec
import pytest

from api.codec import Value
from api.mismatch import mismatch
from api.service.service_spec import ServiceSpec


class Part(Value):
    size: int
    kind: Literal["a", "b"] = "a"


class Whole(Value):
    name: str = ""
    parts: list[Part] = []
    labels: dict[str, str] = {}
    ratio: float = 0.0
    is_on: bool = False
    data: bytes = b""
    maybe: int | None = None
    pair: tuple[int, str] | None = None


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (7, "the body must be an object, not 7"),
        ({"Name": 7}, "Name: must be a string, not 7"),
        ({"Name": "x", "Parts": {}}, "Parts: must be a list, not an object"),
        ({"Parts": [{"Size": 1}, {"Size": "1"}]}, "Parts[1].Size: must be a whole number, not '1'"),
        ({"Parts": [{}]}, "Parts[0].Size: is needed"),
        ({"Parts": [{"Size": 1.5}]}, "Parts[0].Size: must be a whole number, not 1.5"),
        ({"Parts": [{"Size": True}]}, "Parts[0].Size: must be a whole number, not true"),
        ({"Parts": [{"Size": 1, "Kind": "c"}]}, "Parts[0].Kind: 'c' is none of a, b"),
        ({"Parts": [{"Size": 1, "Kind": 3}]}, "Parts[0].Kind: must be one of a, b, not 3"),
        ({"Labels": {"a": "b", "c": 1}}, "Labels.c: must be a string, not 1"),
        ({"Labels": "a=b"}, "Labels: must be an object, not 'a=b'"),
        ({"Ratio": "x" * 100}, f"Ratio: must be a number, not '{'x' * 60}…'"),
        ({"IsOn": 1}, "IsOn: must be true or false, not 1"),
        ({"Data": "%%"}, "Data: must be base64 text, not '%%'"),
        ({"Maybe": [1]}, "Maybe: must be a whole number, not a list"),
        ({"Pair": [1, 2]}, "Pair[1]: must be a string, not 2"),
        ({"Pair": [1]}, "Pair: must be a list, not a list"),
    ],
)
def test_the_first_wrong_place_is_named(raw: Any, sentence: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(raw, Whole)

    assert mismatch(Whole, raw) == sentence


@pytest.mark.parametrize("wrong", [1, "x", [1], {"x": 1}, True, None, 1.5])
def test_every_field_of_a_service_is_judged_as_msgspec_judges_it(wrong: Any) -> None:
    """What msgspec refuses is found here too, in every field and at its path."""
    for path, raw in places(ServiceSpec, wrong):
        try:
            msgspec.convert(raw, ServiceSpec)
        except msgspec.ValidationError:
            assert mismatch(ServiceSpec, raw).startswith(f"{path}"), path


def places(kind: type[msgspec.Struct], wrong: Any) -> list[tuple[str, dict[str, Any]]]:
    """The wrong value in the place of each field of a struct and of the structs in it."""
    found: list[tuple[str, dict[str, Any]]] = []
    for field in msgspec.structs.fields(kind):
        found.append((field.encode_name, {field.encode_name: wrong}))
        options = get_args(field.type) if isinstance(field.type, UnionType) else (field.type,)
        for struct in options:
            if isinstance(struct, type) and issubclass(struct, msgspec.Struct):
                deeper = places(struct, wrong)
                found += [(f"{field.encode_name}.{path}", {field.encode_name: raw}) for path, raw in deeper]
    return found
