from __future__ import annotations

from pathlib import Path

import pytest

from agent.runtime.containers import cgroup_usage
from agent.runtime.containers.cgroup_usage import Transfer

NET = """Inter-|   Receive | Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0  100        1    0    0    0     0       0          0
  eth0:     200       2    1    3    0     0          0         0  300        4    5    6    0     0       0          0
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "proc/7/net").mkdir(parents=True)
    (tmp_path / "proc/7/net/dev").write_text(NET)
    return tmp_path / "proc"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_cgroup_v2_is_read(proc: Path, tmp_path: Path) -> None:
    (proc / "7/cgroup").write_text("0::/argosy/c\n")
    root = write(tmp_path / "cgroup/argosy/c", {
        "cpu.stat": "usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnr_periods 4\n"
                    "nr_throttled 1\nthrottled_usec 9\n",
        "memory.current": "4096\n", "memory.max": "max\n", "memory.stat": "anon 1\ninactive_file 2\n",
        "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=2\n", "pids.current": "3\n", "pids.max": "50\n",
        "cgroup.procs": "7\n", "inner/cgroup.procs": "8\n9\n",
    }).parent.parent  # fmt: skip

    found = cgroup_usage.read(7, proc, root)

    assert (found.cpu, found.cpu_user, found.cpu_system) == (5_000_000, 3_000_000, 2_000_000)
    assert found.throttled == (4, 1, 9000)
    assert (found.memory, found.memory_limit, found.memory_stats["inactive_file"]) == (4096, 0, 2)
    assert found.blocks == [(8, 0, "read", 10), (8, 0, "write", 20)]
    assert (found.processes, found.processes_limit) == (3, 50)
    assert found.networks == {"eth0": Transfer(200, 300, 2, 4, 1, 5, 3, 6)}
    assert cgroup_usage.Cgroups(7, proc, root).processes() == {7, 8, 9}


def test_cgroup_v1_and_hybrid_are_read(proc: Path, tmp_path: Path) -> None:
    (proc / "7/cgroup").write_text("5:cpu,cpuacct:/c\n4:memory:/m\n3:pids:/p\n2:blkio:/b\n1:name=systemd:/s\n0::/u\n")
    root = write(tmp_path / "cgroup", {
        "cpuacct/c/cpuacct.usage": "500\n", "cpuacct/c/cpuacct.usage_user": "300\n",
        "cpuacct/c/cpuacct.usage_sys": "200\n", "cpu/c/cpu.stat": "nr_periods 4\nnr_throttled 1\nthrottled_time 9\n",
        "memory/m/memory.usage_in_bytes": "4096\n", "memory/m/memory.limit_in_bytes": "9223372036854771712\n",
        "blkio/b/blkio.throttle.io_service_bytes_recursive": "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\nTotal 30\n",
        "pids/p/pids.current": "3\n", "pids/p/pids.max": "max\n", "pids/p/cgroup.procs": "7\n",
    })  # fmt: skip

    found = cgroup_usage.read(7, proc, root)

    assert (found.cpu, found.cpu_user, found.cpu_system, found.throttled) == (500, 300, 200, (4, 1, 9))
    assert (found.memory, found.memory_limit) == (4096, 0)
    assert found.blocks == [(8, 0, "read", 10), (8, 0, "write", 20)]
    assert (found.processes, found.processes_limit) == (3, 0)
    assert cgroup_usage.Cgroups(7, proc, root).processes() == {7}


def test_the_host_s_processors() -> None:
    stat = "cpu  100 0 50 850 0 0 0 0 0 0\ncpu0 50 0 25 425 0 0 0 0 0 0\ncpu1 50 0 25 425 0 0 0 0 0 0\nintr 1\n"

    assert cgroup_usage.host_cpu(stat, 100) == (10_000_000_000, 2)


def test_a_process_that_is_gone_raises(proc: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        cgroup_usage.read(8, proc, proc)
