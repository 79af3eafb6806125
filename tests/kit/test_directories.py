"""Directories with an exact mode."""

from __future__ import annotations

import os
from pathlib import Path

from kit.directories import OWNERS, make_directory


def test_a_directory_has_its_mode_whatever_the_umask_and_its_history(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir(mode=0o755)
    before = os.umask(0)
    try:
        modes = [make_directory(old), make_directory(tmp_path / "new/inner"), make_directory(tmp_path / "d", OWNERS)]
    finally:
        os.umask(before)

    assert [path.stat().st_mode & 0o7777 for path in modes] == [0o700, 0o700, 0o710]
