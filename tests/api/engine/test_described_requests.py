"""No field of Docker's own description of a request is dropped: it is read, or refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import inspect

from api.engine.networks import NetworkCreateRequest
from api.engine.swarm import SwarmInitRequest, SwarmJoinRequest, SwarmUpdateRequest
from api.engine.unsupported_fields import LACKING
from api.mismatch import options, shape_of
from api.node_spec import NodeSpec
from api.service.service_spec import ServiceSpec
from api.stored_file import ConfigSpec, SecretSpec
from tests.e2e.openapi import description

REQUESTS: list[tuple[str, Any]] = [
    ("/services/create", ServiceSpec),
    ("/services/{id}/update", ServiceSpec),
    ("/nodes/{id}/update", NodeSpec),
    ("/swarm/init", SwarmInitRequest),
    ("/swarm/join", SwarmJoinRequest),
    ("/swarm/update", SwarmUpdateRequest),
    ("/networks/create", NetworkCreateRequest),
    ("/secrets/create", SecretSpec),
    ("/configs/create", ConfigSpec),
]


@pytest.mark.parametrize(("path", "kind"), REQUESTS)
def test_every_described_field_is_read_or_refused_by_name(path: str, kind: Any) -> None:
    parameters = description()["paths"][path]["post"]["parameters"]
    schema = next(one["schema"] for one in parameters if one["in"] == "body")

    assert list(dropped(schema, shape_of(kind), "")) == []


def dropped(schema: Any, shape: inspect.Type, path: str) -> Iterator[str]:
    """Paths of described fields that a request of this shape does not have, and that are not refused."""
    schema = whole(schema)
    for option in options(shape):
        if isinstance(option, inspect.StructType):
            fields = {field.encode_name.lower(): field.type for field in option.fields}
            for name, below in schema.get("properties", {}).items():
                if name.lower() in fields:
                    yield from dropped(below, fields[name.lower()], f"{path}.{name}")
                elif name not in LACKING:
                    yield f"{path}.{name}"
        elif isinstance(option, inspect.ListType) and "items" in schema:
            yield from dropped(schema["items"], option.item_type, f"{path}[]")


def whole(schema: Any) -> Any:
    """The schema with references resolved, and the properties of its parts."""
    while "$ref" in schema:
        schema = description()["definitions"][schema["$ref"].rpartition("/")[2]]
    parts = [whole(part).get("properties", {}) for part in schema.get("allOf", ())]
    return {
        **schema,
        "properties": {**{k: v for part in parts for k, v in part.items()}, **schema.get("properties", {})},
    }
