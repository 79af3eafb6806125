"""Cgroups for processes outside containers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kit import cgroups


@pytest.mark.parametrize(
    ("text", "size"),
    [("512m", 512 << 20), ("2g", 2 << 30), ("2GiB", 2 << 30), ("64 kb", 64 << 10), ("1048576", 1 << 20)],
)
def test_sizes(text: str, size: int) -> None:
    assert cgroups.read_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1", "1.5g", "9" * 20, "2 gigs"])
def test_bad_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        cgroups.read_size(text)


def test_under_v2_memory_is_delegated_and_limited(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory")
    cgroups.add_process(77, "argosy/etcd", 1 << 30, tmp_path)
    assert [(tmp_path / path).read_text() for path in ("cgroup.subtree_control", "argosy/cgroup.subtree_control")] == [
        "+memory", "+memory",
    ]  # fmt: skip
    assert (tmp_path / "argosy/etcd/memory.max").read_text() == str(1 << 30)
    assert (tmp_path / "argosy/etcd/cgroup.procs").read_text() == "77"


@pytest.mark.root
def test_a_process_is_limited_and_its_group_is_removed() -> None:
    name = f"argosy-kit-{os.getpid()}"
    process = subprocess.Popen(["sleep", "60"])
    try:
        cgroups.add_process(process.pid, name, 64 << 20)
        assert name in Path(f"/proc/{process.pid}/cgroup").read_text()
        group = next(
            path for path in (Path("/sys/fs/cgroup/memory", name), Path("/sys/fs/cgroup", name)) if path.exists()
        )
        limits = [
            path.read_text().strip()
            for path in group.glob("memory.*")
            if path.name in ("memory.max", "memory.limit_in_bytes")
        ]
        assert limits == [str(64 << 20)]
        cgroups.remove(name)  # somebody is in it
        assert group.exists()
    finally:
        process.kill()
        process.wait()
    cgroups.remove(name)
    assert not group.exists()
