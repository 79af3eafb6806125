"""Fixtures for the HTTP API's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.manager.http.cluster_api import Api, new_manager, serve


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """The API of a manager with two workers."""
    async with serve(await new_manager()) as api:
        yield api
