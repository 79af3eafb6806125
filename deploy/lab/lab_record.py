"""The record of a lab: its paths, and the names, roles and addresses of its hosts."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec

from api.errors import Invalid, NotFound

RUN = Path("/run/argosy-lab")
DATA = Path("/var/lib/argosy-lab")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
MACHINE_HOST = 254
"""Last octet of the machine's own address on the switch."""


class HostRecord(msgspec.Struct, frozen=True):
    """One lab host, as it was created."""

    name: str
    manager: bool
    address: str


class LabRecord(msgspec.Struct, frozen=True):
    """A lab, as it was created. Stored as lab.json."""

    name: str
    subnet: str
    """First three octets: "172.30.4"."""
    hosts: list[HostRecord]
    options: list[str] = []
    """Additional arguments for every host's argosyd."""

    def host(self, name: str) -> HostRecord:
        """The host with this name. Raises NotFound."""
        for host in self.hosts:
            if host.name == name:
                return host
        known = ", ".join(host.name for host in self.hosts)
        raise NotFound(f"lab {self.name!r} has no host {name!r}; it has {known}")

    @property
    def machine_address(self) -> str:
        """The address at which hosts reach the machine they run on."""
        return f"{self.subnet}.{MACHINE_HOST}"


class Paths:
    """Files, namespaces and links of one lab. Link names contain a digest, because they have at most 15 characters."""

    def __init__(self, lab: str) -> None:
        if not _NAME.fullmatch(lab):
            raise Invalid(f"lab name {lab!r}: use lower-case letters, digits and dashes, at most 31")
        self.lab = lab
        self.run = RUN / lab
        self.data = DATA / lab
        self.record = self.run / "lab.json"
        digest = hashlib.sha256(lab.encode()).hexdigest()[:6]
        self.switch = f"argosy-lab-{lab}"
        self.machine_link = f"al{digest}"
        self.cgroup = f"argosy-lab-{lab}"

    def netns(self, host: str) -> str:
        """Name of a host's network namespace, as in `ip netns`."""
        return f"argosy-lab-{self.lab}-{host}"

    def exec_root(self, host: str) -> Path:
        """The directory that the host sees as /run/argosy."""
        return self.run / host / "run"

    def data_root(self, host: str) -> Path:
        """The directory that the host sees as /var/lib/argosy."""
        return self.data / host

    def pidfile(self, host: str) -> Path:
        """The file with "pid starttime" of the host's PID 1."""
        return self.run / host / "pid"

    def log(self, host: str) -> Path:
        """The log file of the host's argosyd."""
        return self.run / host / "argosyd.log"

    def socket(self, host: str) -> Path:
        """The path of the host's API socket on the machine."""
        return self.exec_root(host) / "docker.sock"

    def load(self) -> LabRecord:
        """Read the lab's record. Raises NotFound when there is no such lab."""
        try:
            return msgspec.json.decode(self.record.read_bytes(), type=LabRecord)
        except FileNotFoundError:
            raise NotFound(f"there is no lab {self.lab!r}; `argosy lab up` makes one") from None

    def save(self, record: LabRecord) -> None:
        """Write the lab's record."""
        self.run.mkdir(parents=True, exist_ok=True)
        self.record.write_bytes(msgspec.json.encode(record))


def existing_labs() -> list[str]:
    """Names of the labs on this machine."""
    return sorted(path.parent.name for path in RUN.glob("*/lab.json"))
