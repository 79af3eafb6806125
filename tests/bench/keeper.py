"""Sees to it that a benchmark leaves nothing behind, however it ends: interrupted, timed out, or killed.

A manager's etcd outlives its manager on purpose. So a small process, in a session of its own, waits for the benchmark's
end (its standard input closes), then ends the etcd whose pid file lies in the directory, and deletes the directory.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ETCD = "etcd"
"""Directory of the manager's etcd, in the benchmark's."""


@contextmanager
def kept_directory(prefix: str) -> Iterator[Path]:
    """A directory for a manager's data; when this process has ended, neither it nor the etcd in it exist."""
    directory = Path(tempfile.mkdtemp(prefix=prefix))
    keeper = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.keeper", str(directory)], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield directory
    finally:
        keeper.communicate()


def main() -> None:
    """Wait for the end, and clean up."""
    directory = Path(sys.argv[1])
    sys.stdin.read()
    with suppress(OSError, ValueError):
        pid = int((directory / ETCD / "etcd.pid").read_text())
        if f"--data-dir={directory}/" in Path(f"/proc/{pid}/cmdline").read_bytes().decode():
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
