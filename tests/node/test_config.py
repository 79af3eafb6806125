"""What argosyd is started with."""

from __future__ import annotations

import pytest

from api.errors import Invalid
from api.specs import DiscreteResource, GenericResource, NamedResource
from node.config import read_generic_resources


def test_numbers_count_and_names_name() -> None:
    assert read_generic_resources(("gpu=UUID1,gpu=UUID2", "ssd=3")) == (
        GenericResource(named_resource_spec=NamedResource("gpu", "UUID1")),
        GenericResource(named_resource_spec=NamedResource("gpu", "UUID2")),
        GenericResource(discrete_resource_spec=DiscreteResource("ssd", 3)),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gpu", "write KIND=NUMBER or KIND=NAME"),
        ("=3", "write KIND=NUMBER or KIND=NAME"),
        ("ssd=0", "write KIND=NUMBER or KIND=NAME"),
        ("gpu=UUID1,gpu=2", "counted in one place and named in another"),
        ("gpu=UUID1,gpu=UUID1", "given twice"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        read_generic_resources((text,))
