"""Spelling and ids."""

from __future__ import annotations

import pytest

from api.field_names import docker_name
from api.ids import ID_LENGTH, SERVICE_NAME, new_id


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("nano_cpus", "NanoCPUs"), ("service_id", "ServiceID"), ("tty", "TTY"), ("dns_config", "DNSConfig"),
        ("oom_score_adj", "OomScoreAdj"), ("stop_grace_period", "StopGracePeriod"), ("os", "OS"), ("uid", "UID"),
    ],
)  # fmt: skip
def test_fields_are_spelled_as_in_the_engine_api(field: str, name: str) -> None:
    assert docker_name(field) == name


def test_ids_are_25_digits_of_base_36_and_differ() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(id) == ID_LENGTH and id.isalnum() and id == id.lower() for id in ids)


@pytest.mark.parametrize("name", ["a", "web", "shop_web", "a-b--c__d", "9lives", "Web"])
def test_names_that_are_dns_labels_are_taken(name: str) -> None:
    assert SERVICE_NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "_a", "a.b", "a b", "é", "a/b"])
def test_names_that_are_none_are_not(name: str) -> None:
    assert not SERVICE_NAME.fullmatch(name)


def test_a_long_name_that_is_none_is_seen_at_once() -> None:
    assert not SERVICE_NAME.fullmatch("a" * 5000 + ".")
