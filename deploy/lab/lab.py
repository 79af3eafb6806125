"""The lab: created, joined into a cluster, listed, removed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from api.errors import Conflict, Invalid, NotFound
from deploy.lab import cgroups, lab_switch
from deploy.lab.lab_host import LabHost
from deploy.lab.lab_record import DATA, RUN, HostRecord, LabRecord, Paths, existing_labs
from deploy.lab.shell import run

FIRST_MANAGER, FIRST_WORKER = 11, 101
"""Last octets of m1's and w1's addresses."""
MOST = 80


@dataclass(frozen=True)
class Lab:
    """An existing lab."""

    paths: Paths
    record: LabRecord

    @classmethod
    def open(cls, name: str) -> Lab:
        """The lab with this name. Raises NotFound."""
        paths = Paths(name)
        return cls(paths, paths.load())

    @property
    def hosts(self) -> list[LabHost]:
        """The lab's hosts, managers first."""
        return [LabHost(self.paths, self.record, host) for host in self.record.hosts]

    def host(self, name: str) -> LabHost:
        """The host with this name. Raises NotFound."""
        return LabHost(self.paths, self.record, self.record.host(name))


def up(name: str, managers: int, workers: int, options: Sequence[str] = ()) -> Iterator[str]:
    """Create a lab and join its hosts into a cluster. Yields a line for each completed step.

    `options`: arguments for every host's argosyd, now and whenever the host is started again.

    Raises Conflict when the lab exists, Invalid for bad numbers. When a step fails, everything is removed again.
    """
    paths = Paths(name)
    _check_numbers(managers, workers)
    if paths.record.exists():
        raise Conflict(f"lab {name!r} exists already; `argosy lab down --name {name}` removes it")
    _clear(paths)
    record = _plan(name, managers, workers, options)
    paths.save(record)
    lab = Lab(paths, record)
    try:
        lab_switch.make_switch(paths, record)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(_power_on, lab.hosts))
        yield f"{len(lab.hosts)} hosts started"
        yield from _join_all(lab)
    except BaseException:
        down(name)
        raise


def down(name: str) -> bool:
    """Remove a lab completely. False when there was none. Raises Conflict when something cannot be removed."""
    paths = Paths(name)
    try:
        record = paths.load()
    except NotFound:
        record = LabRecord(name, "", [])
    existed = bool(record.hosts)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda host: LabHost(paths, record, host).kill(), record.hosts))
    _clear(paths)
    if left := leftovers(paths):
        raise Conflict(f"lab {name!r} is down, but these would not go: {', '.join(left)}")
    return existed


def leftovers(paths: Paths) -> list[str]:
    """Everything of the lab that still exists on the machine."""
    files = [f"directory {path}" for path in (paths.run, paths.data) if path.exists()]
    groups = [f"cgroup {paths.cgroup}"] if cgroups.exists(paths.cgroup) else []
    return [*lab_switch.leftovers(paths), *groups, *files]


def _check_numbers(managers: int, workers: int) -> None:
    if managers < 1 or workers < 0 or managers + workers > MOST:
        raise Invalid(f"a lab has at least 1 manager and at most {MOST} hosts, not {managers} + {workers}")


def _plan(name: str, managers: int, workers: int, options: Sequence[str]) -> LabRecord:
    taken = {Paths(other).load().subnet for other in existing_labs()}
    subnet = lab_switch.free_subnet(taken)
    hosts = [HostRecord(f"m{n + 1}", True, f"{subnet}.{FIRST_MANAGER + n}") for n in range(managers)]
    hosts += [HostRecord(f"w{n + 1}", False, f"{subnet}.{FIRST_WORKER + n}") for n in range(workers)]
    return LabRecord(name, subnet, hosts, list(options))


def _power_on(host: LabHost) -> None:
    host.start()
    host.wait_until_answering()


def _join_all(lab: Lab) -> Iterator[str]:
    first, *others = lab.hosts
    _argosy(first, "init", "--advertise-addr", first.host.address)
    yield f"{first.name} made a cluster"
    tokens = {role: _argosy(first, "join-token", "--quiet", role).strip() for role in ("manager", "worker")}
    # Managers join one after the other, because etcd accepts one learner at a time; workers join in parallel.
    for host in [host for host in others if host.host.manager]:
        _join(first, host, tokens["manager"])
        yield f"{host.name} joined as manager"
    workers = [host for host in others if not host.host.manager]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda host: _join(first, host, tokens["worker"]), workers))
    if workers:
        yield f"{', '.join(host.name for host in workers)} joined as worker{'s' * (len(workers) > 1)}"


def _join(first: LabHost, host: LabHost, token: str) -> None:
    address = host.host.address
    _argosy(host, "join", "--token", token, "--advertise-addr", address, f"{first.host.address}:2377")


def _argosy(host: LabHost, *arguments: str) -> str:
    """Run the `argosy` command against the host's socket. Returns its output."""
    return run(sys.executable, "-m", "cli.main", "--host", f"unix://{host.paths.socket(host.name)}", *arguments)


def _clear(paths: Paths) -> None:
    """Remove the parts of the lab that belong to no single host."""
    lab_switch.remove_switch(paths)
    cgroups.remove(paths.cgroup)
    for path in (paths.run, paths.data):
        shutil.rmtree(path, ignore_errors=True)
    if existing_labs():
        # Removing a directory unmounts what other labs' hosts have mounted on it, and they use /var/lib/argosy, too.
        return
    lab_switch.unmount_namespaces()
    for path in (RUN, DATA, Path("/var/lib/argosy")):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
