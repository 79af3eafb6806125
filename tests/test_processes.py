"""The check that no process outlives its tests sees those that are hard to see."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests import processes

# Goes its own way, as the stand-in and conmon do: another session, and its parent ends.
DETACHED = """
import os, time
if os.fork():
    os._exit(0)
os.setsid()
print(os.getpid(), flush=True)
os.close(1)
time.sleep(60)
"""


def test_a_process_that_went_its_own_way_is_told_with_the_test_that_started_it() -> None:
    environment = {**os.environ, processes.MARK: "a run of its own"}
    command = [sys.executable, "-c", DETACHED]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    pid = int(done.stdout)
    try:
        left = processes.left_by("a run of its own", patience=0.1)
        assert list(left) == [pid]
        assert "test_processes.py::test_a_process_that_went_its_own_way" in left[pid]
    finally:
        os.kill(pid, signal.SIGKILL)
    assert processes.left_by("a run of its own", patience=10) == {}
