"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# Imported early: hypothesis imports it while a test fails, and CPython 3.11 can die there when grpc objects are
# collected at that moment ("AST constructor recursion depth mismatch").
import hypothesis.internal.observability  # noqa: F401
import pytest


@pytest.fixture(scope="session", autouse=True)
def _no_cgroup_stays() -> Iterator[None]:
    """Runtimes under test share the machine's /argosy cgroup; the last one out removes it."""
    yield
    for root in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()):
        with suppress(OSError):
            (root / "argosy").rmdir()
