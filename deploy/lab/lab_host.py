"""A lab host: power on, commands inside it, power cut."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from api.errors import Conflict, Unavailable
from deploy.lab import cgroups, lab_switch
from deploy.lab.boot import BootSpec
from deploy.lab.lab_record import HostRecord, LabRecord, Paths
from deploy.lab.shell import run

_HERE = Path(__file__).resolve().parents[2]


class LabHost:
    """A host of a lab: a PID 1 in its own namespaces, identified by pid and start time."""

    def __init__(self, paths: Paths, record: LabRecord, host: HostRecord) -> None:
        self.paths = paths
        self.record = record
        self.host = host
        self.name = host.name
        self.cgroup = f"{paths.cgroup}/{host.name}"

    @property
    def pid(self) -> int:
        """The machine's pid of the host's PID 1; 0 when the host is off."""
        try:
            pid, start = self.paths.pidfile(self.name).read_text().split()
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return 0
        is_same, is_dead = fields[19] == start, fields[0] in "ZX"
        return int(pid) if is_same and not is_dead else 0

    @property
    def state(self) -> str:
        """ "running", "partitioned" or "stopped"."""
        if not self.pid:
            return "stopped"
        return "partitioned" if lab_switch.is_cut(self.paths, self.name) else "running"

    def start(self) -> None:
        """Power on the host. Raises Conflict when it is on already."""
        if self.pid:
            raise Conflict(f"host {self.name} runs already")
        lab_switch.plug_in(self.paths, self.record, self.host)
        for directory in (self.paths.exec_root(self.name), self.paths.data_root(self.name)):
            directory.mkdir(parents=True, exist_ok=True)
        spec = BootSpec(
            hostname=self.name,
            netns=f"/run/netns/{self.paths.netns(self.name)}",
            cgroup=self.cgroup,
            pidfile=str(self.paths.pidfile(self.name)),
            log=str(self.paths.log(self.name)),
            binds={
                "/run/argosy": str(self.paths.exec_root(self.name)),
                "/var/lib/argosy": str(self.paths.data_root(self.name)),
            },
            command=[
                sys.executable,
                "-m",
                "node.main",
                "--swarm-default-advertise-addr",
                self.host.address,
                *self.record.options,
            ],
        )
        file = self.paths.run / self.name / "boot.json"
        file.write_bytes(msgspec.json.encode(spec))
        run("env", f"PYTHONPATH={_HERE}", sys.executable, "-m", "deploy.lab.boot", str(file))

    def wait_until_answering(self, deadline: float = 60.0) -> None:
        """Wait until its argosyd accepts connections, at most `deadline` seconds. Raises Unavailable."""
        end = time.monotonic() + deadline
        while not self.paths.socket(self.name).is_socket():
            if time.monotonic() > end or not self.pid:
                raise Unavailable(f"argosyd on {self.name} did not start; see {self.paths.log(self.name)}")
            time.sleep(0.05)

    def kill(self) -> None:
        """Cut the power: all processes of the host end at once, and its memory is lost."""
        lab_switch.disconnect(self.paths, self.name)  # first, because a host without power sends no FIN or RST
        if pid := self.pid:
            fd = os.pidfd_open(pid)
            os.kill(pid, signal.SIGKILL)
            _wait_gone(fd)
        lab_switch.unplug(self.paths, self.name)
        shutil.rmtree(self.paths.exec_root(self.name), ignore_errors=True)
        cgroups.remove(self.cgroup)

    def execute(self, command: Sequence[str]) -> None:
        """Replace this process with a command inside the host. Raises Unavailable when the host is off."""
        os.execvp("nsenter", self.enter(command))

    def enter(self, command: Sequence[str]) -> list[str]:
        """The machine's command line that runs `command` inside the host. Raises Unavailable when it is off."""
        if not (pid := self.pid):
            raise Unavailable(f"host {self.name} is stopped; `argosy lab start {self.name}` starts it")
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
        return ["nsenter", "--target", str(pid), *spaces, "--wd=/", "--", *command]


def _wait_gone(fd: int) -> None:
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    poller.poll(10_000)
    os.close(fd)
