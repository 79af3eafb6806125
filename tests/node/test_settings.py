"""The settings of argosyd."""

from __future__ import annotations

import pytest

from agent.runtime.logs.log_file import LogPolicy
from agent.runtime.oci.container_defaults import PIDS_LIMIT, ContainerDefaults
from api.errors import Invalid
from api.service.resources import DiscreteResource, GenericResource, NamedResource
from node.settings import read_generic_resources, read_usual, size_option


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


def test_what_containers_get_whose_service_does_not_say() -> None:
    assert read_usual(PIDS_LIMIT, "json-file", ()) == ContainerDefaults()
    assert read_usual(-1, "local", ("max-size=1.5m", "max-file=7")) == ContainerDefaults(
        0, "local", LogPolicy(True, 1572864, 7)
    )
    assert read_usual(5, "none", ()).log.keep is False


@pytest.mark.parametrize(
    ("driver", "option", "message"),
    [
        ("json-file", "max-sise=1m", r"--log-opt.max-sise: log driver json-file has no such option"),
        ("local", "max-size=much", r"--log-opt.max-size: 'much' is not a size"),
        ("none", "max-size=1m", "log driver none keeps nothing"),
    ],
)
def test_a_log_option_that_is_none_is_refused(driver: str, option: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        read_usual(0, driver, (option,))


def test_sizes_of_options() -> None:
    assert [size_option("--memory-limit", text, 128 << 20) for text in ("", "1g", "512m")] == [0, 1 << 30, 512 << 20]
    for text, words in (("much", "is no size"), ("1m", "at least 128m")):
        with pytest.raises(Invalid, match=rf"^--memory-limit.*{words}"):
            size_option("--memory-limit", text, 128 << 20)
