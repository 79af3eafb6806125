"""Image references, as people write them."""

from __future__ import annotations

import pytest

from api.errors import Invalid
from api.image_reference import familiar, image_id, normal, parse

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full", "short"),
    [
        ("demo", "docker.io/library/demo:latest", "demo:latest"),
        ("demo:1", "docker.io/library/demo:1", "demo:1"),
        ("shop/web:2", "docker.io/shop/web:2", "shop/web:2"),
        ("docker.io/demo", "docker.io/library/demo:latest", "demo:latest"),
        ("index.docker.io/shop/web:2", "docker.io/shop/web:2", "shop/web:2"),
        ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
        ("host:5000/a/b:1", "host:5000/a/b:1", "host:5000/a/b:1"),
        ("ghcr.io/a/b", "ghcr.io/a/b:latest", "ghcr.io/a/b:latest"),
        (f"demo@{DIGEST}", f"docker.io/library/demo@{DIGEST}", f"demo@{DIGEST}"),
        (f"demo:1@{DIGEST}", f"docker.io/library/demo:1@{DIGEST}", f"demo:1@{DIGEST}"),
    ],
)
def test_references_have_one_full_form(text: str, full: str, short: str) -> None:
    assert normal(text) == full
    assert normal(full) == full
    assert familiar(full) == short


@pytest.mark.parametrize(
    "text", ["", "Demo", "demo:", "demo:a b", "demo@sha256:1", "a//b", "-x", "host:x/y z", "a" * 64]
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="invalid image reference"):
        parse(text)


def test_parts() -> None:
    reference = parse(f"127.0.0.1:5000/team/demo:1@{DIGEST}")

    assert (reference.domain, reference.path, reference.tag, reference.digest) == (
        "127.0.0.1:5000", "team/demo", "1", DIGEST,
    )  # fmt: skip
    assert reference.canonical == f"127.0.0.1:5000/team/demo@{DIGEST}"
    assert reference.is_loopback
    assert not parse("127.example.org/x").is_loopback


def test_image_ids() -> None:
    assert image_id("a" * 64) == DIGEST
    assert image_id(DIGEST) == DIGEST
    assert image_id("demo") == ""
    assert familiar("") == ""
