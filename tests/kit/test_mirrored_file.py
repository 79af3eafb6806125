"""A file kept twice survives the loss of one copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit import mirrored_file


def number(data: bytes) -> int:
    return int(data)


@pytest.mark.parametrize("damage", [b"", b"x", None])
@pytest.mark.parametrize("which", ["record", "record.copy"])
def test_either_file_may_be_damaged_or_gone(tmp_path: Path, which: str, damage: bytes | None) -> None:
    mirrored_file.save(tmp_path / "record", b"7")
    if damage is None:
        (tmp_path / which).unlink()
    else:
        (tmp_path / which).write_bytes(damage)

    assert mirrored_file.load(tmp_path / "record", number) == 7


def test_two_damaged_files_are_distinguished_from_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        mirrored_file.load(tmp_path / "record", number)
    for path in (tmp_path / "record", mirrored_file.copy_of(tmp_path / "record")):
        path.write_bytes(b"x")

    with pytest.raises(mirrored_file.Damaged, match="damaged, and so is its copy"):
        mirrored_file.load(tmp_path / "record", number)


def test_both_files_are_removed(tmp_path: Path) -> None:
    mirrored_file.save(tmp_path / "record", b"7")
    mirrored_file.remove(tmp_path / "record")

    assert list(tmp_path.iterdir()) == []
