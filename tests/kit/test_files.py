"""Atomic replacement of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.files import replace_file


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_as_a_whole_with_its_mode(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "new" / "file"
    replace_file(path, b"old", durable=durable)
    old = path.open("rb")
    replace_file(path, b"new", mode=0o640, durable=durable)
    assert (old.read(), path.read_bytes(), path.stat().st_mode & 0o777) == (b"old", b"new", 0o640)
    old.close()
    assert list(path.parent.iterdir()) == [path]
