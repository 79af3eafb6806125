"""Attacks: what somebody who should not be able to do harm tries, and why it fails. One file per attacker.

Those that need real hosts use the lab of tests/conftest.py and leave it as they found it.
"""

from __future__ import annotations

import pytest

from tests.attacks.packets_tools import site
from tests.attacks.siege import fortress
from tests.overlay.conftest import cluster

__all__ = ["cluster", "fortress", "site"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "attacks" in str(item.path) and "world" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.lab)
