"""The settings of argosyd: every address, port, directory and socket, under dockerd's names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from agent.runtime.logs.log_file import policy
from agent.runtime.oci.container_defaults import ContainerDefaults
from api.defaults import ETCD_CLIENT_PORT, ETCD_PEER_PORT, HOST_PORT, MANAGER_PORT
from api.errors import Invalid
from api.service.container import Driver
from api.service.free_form_options import log_option_problems
from api.service.resources import DiscreteResource, GenericResource, NamedResource
from api.wire.rpc import Credentials
from kit.cgroups import machine_memory, read_size
from manager.etcd.command_line import DEFAULT_QUOTA


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of the command line; constant while the process runs."""

    data_root: Path = Path("/var/lib/argosy")
    exec_root: Path = Path("/run/argosy")
    hosts: tuple[str, ...] = ()
    """Sockets of the HTTP API, "unix:///path"; empty: `docker.sock` in the exec root."""
    docker_socket: Path | None = None
    """A further path for the API, while no other daemon listens there; None for no such path."""
    pidfile: Path | None = None
    listen_addr: str = f"0.0.0.0:{MANAGER_PORT}"
    """Address of the manager's HTTPS port, when a request to init or join gives none."""
    advertise_addr: str = ""
    """The address at which other hosts reach this one; "": its only address."""
    host_addr: str = "0.0.0.0"
    host_port: int = HOST_PORT
    etcd_client_port: int = ETCD_CLIENT_PORT
    etcd_peer_port: int = ETCD_PEER_PORT
    etcd_quota: int = DEFAULT_QUOTA
    """Bytes that the cluster's state may take on disk."""
    etcd_memory: int = 0
    """Bytes of memory for our own etcd; 0: half of the machine's, between 512 MiB and 4 GiB."""
    memory: int = 0
    """Bytes of memory for this daemon and its helper processes, without containers; 0: no limit (systemd sets one)."""
    etcd_endpoints: tuple[str, ...] = ()
    """Endpoints of an external etcd cluster, instead of a member of our own."""
    etcd_ca: Path | None = None
    etcd_cert: Path | None = None
    etcd_key: Path | None = None
    labels: dict[str, str] = field(default_factory=dict)
    generic_resources: tuple[GenericResource, ...] = ()
    """Resources besides CPUs and memory that tasks may reserve."""
    usual: ContainerDefaults = field(default_factory=ContainerDefaults)
    """Defaults for containers whose specs do not set these values."""
    log_level: str = "info"

    def etcd_credentials(self) -> Credentials | None:
        """Credentials for an external etcd; None for no TLS. Raises OSError when a file cannot be read."""
        if self.etcd_ca is None or self.etcd_cert is None or self.etcd_key is None:
            return None
        return Credentials(self.etcd_cert.read_bytes(), self.etcd_key.read_bytes(), self.etcd_ca.read_bytes())

    @property
    def etcd_memory_limit(self) -> int:
        """Memory limit of our own etcd, in bytes."""
        return self.etcd_memory or min(4 << 30, max(512 << 20, machine_memory() // 2))

    @property
    def node_directory(self) -> Path:
        """The directory of identity and certificates."""
        return self.data_root / "node"

    @property
    def etcd_directory(self) -> Path:
        """The directory of the etcd member's data."""
        return self.data_root / "etcd"

    @property
    def sockets(self) -> tuple[Path, ...]:
        """The unix sockets of the HTTP API."""
        return tuple(socket_path(host) for host in self.hosts) or (self.exec_root / "docker.sock",)

    @property
    def all_sockets(self) -> tuple[Path, ...]:
        """The sockets of the HTTP API, with Docker's path if set."""
        return (*self.sockets, *([self.docker_socket] if self.docker_socket else []))

    @property
    def pid_path(self) -> Path:
        """The path of the pid file."""
        return self.pidfile or self.exec_root / "argosyd.pid"


def socket_path(host: str) -> Path:
    """The path in a `--host` value. Raises Invalid for anything but unix:///absolute/path."""
    path = host.removeprefix("unix://")
    if path == host or not path.startswith("/"):
        raise Invalid(f"--host {host}: only unix:///absolute/path is possible; managers serve TCP on --listen-addr")
    return Path(path)


def size_option(name: str, text: str, least: int) -> int:
    """The bytes of an option like 512m or 2g; 0 when it is not given. Raises Invalid."""
    if not text:
        return 0
    try:
        size = read_size(text)
    except ValueError as error:
        raise Invalid(f"{name}: {error}") from None
    if size < least:
        raise Invalid(f"{name} {text}: at least {least >> 20}m is needed")
    return size


def read_labels(items: tuple[str, ...]) -> dict[str, str]:
    """`--label key=value`. Raises Invalid."""
    labels = {}
    for item in items:
        key, _, value = item.partition("=")
        if not key:
            raise Invalid(f"--label {item!r}: it has no key; write key=value")
        labels[key] = value
    return labels


def read_usual(pids_limit: int, log_driver: str, log_options: tuple[str, ...]) -> ContainerDefaults:
    """`--default-pids-limit`, `--log-driver` and `--log-opt key=value`. Raises Invalid."""
    options = dict(item.partition("=")[::2] for item in log_options)
    for problem in log_option_problems("--log-opt", log_driver, options):
        raise Invalid(problem)
    if log_driver == "none" and options:
        raise Invalid(f"--log-opt {next(iter(options))}: log driver none keeps nothing, so it has no options")
    return ContainerDefaults(max(pids_limit, 0), log_driver, policy(Driver(log_driver, options)))


def read_generic_resources(items: tuple[str, ...]) -> tuple[GenericResource, ...]:
    """`--node-generic-resource KIND=VALUE[,KIND=VALUE…]`: a number counts, anything else names one. Raises Invalid."""
    found: list[GenericResource] = []
    counted: dict[str, bool] = {}
    for item in (part.strip() for text in items for part in text.split(",")):
        kind, _, value = item.partition("=")
        if not kind or not value or (value.isdecimal() and int(value) == 0):
            raise Invalid(
                f"--node-generic-resource {item!r}: write KIND=NUMBER or KIND=NAME, such as ssd=3 or gpu=UUID1"
            )
        if counted.setdefault(kind, value.isdecimal()) is not value.isdecimal():
            raise Invalid(f"--node-generic-resource {item!r}: {kind} is counted in one place and named in another")
        resource = (
            GenericResource(discrete_resource_spec=DiscreteResource(kind, int(value)))
            if value.isdecimal()
            else GenericResource(named_resource_spec=NamedResource(kind, value))
        )
        if resource in found:
            raise Invalid(f"--node-generic-resource {item!r}: it is given twice")
        found.append(resource)
    return tuple(found)
