"""Keys of objects in etcd."""

from __future__ import annotations

import pytest

from api.objects.kinds import KINDS, Kind
from manager.store.keys import PREFIX, PREFIX_END, key_of, parse


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_key_tells_its_kind_and_id(kind: Kind) -> None:  # type: ignore[type-arg]
    key = key_of(kind, "abc.7")

    assert key == f"/argosy/{kind.name}/abc.7".encode()
    assert parse(key) == (kind, "abc.7")
    assert PREFIX <= key < PREFIX_END


@pytest.mark.parametrize("key", [b"/argosy/decided/unheard/x", b"/argosy/x", b"/other/wanted/nodes/x", b""])
def test_foreign_keys_are_recognised(key: bytes) -> None:
    assert parse(key) is None
