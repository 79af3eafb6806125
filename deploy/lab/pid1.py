"""PID 1 of a lab host: keeps one command running, as systemd would, and reaps orphaned processes.

SIGTERM stops the command and ends the host; every other process then dies with the PID namespace.
"""

from __future__ import annotations

import os
import signal
import sys
import time

RESTART_DELAY = 0.5
"""Seconds between the command's end and its next start."""


def main(command: list[str]) -> None:
    """Run the command again whenever it ends, until SIGTERM."""
    signal.signal(signal.SIGTERM, _stop)
    while True:
        pid = os.posix_spawn(command[0], command, os.environ)
        print(f"init: started {command[0]} as {pid}", file=sys.stderr, flush=True)
        _Child.pid = pid
        code = _reap_until(pid)
        print(f"init: {command[0]} ended with {code}", file=sys.stderr, flush=True)
        time.sleep(RESTART_DELAY)


class _Child:
    pid = 0


def _stop(*_: object) -> None:
    if _Child.pid:
        os.kill(_Child.pid, signal.SIGTERM)
        _reap_until(_Child.pid)
    raise SystemExit(0)


def _reap_until(pid: int) -> int:
    while True:
        try:
            ended, status = os.wait()
        except ChildProcessError:
            return 0
        if ended == pid:
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    main(sys.argv[1:])
