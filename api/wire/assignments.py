"""Assignments: what a host must know. Each has a kind (its tag) and an id; the set is sent once, then by difference.

A host gets its own tasks and their specs; for each network it takes part in (one of its tasks is on it, or it is
ingress) the network, the services, endpoints and peers on it; the secrets and configs its live tasks use; the sources
of images; and the members of the cluster. Nothing else.
"""

from __future__ import annotations

import msgspec

from api.codec import Value
from api.service.ports import PortConfig
from api.service.resources import GenericResource
from api.service.service_spec import TaskSpec
from api.states import TaskState


class Attachment(Value, frozen=True):
    """The address of a task on one network."""

    network_id: str
    address: str
    """With prefix length: "10.0.1.7/24"."""
    aliases: list[str] = []
    mac_address: str = msgspec.field(default="", name="MacAddress")
    """"" for the one that follows from the address."""


class TaskAssignment(Value, frozen=True, tag="task"):
    """A task this host is to run, or to stop when `desired` is SHUTDOWN or REMOVE."""

    id: str
    name: str
    """<service>.<slot>.<task id>; the container's name."""
    service_id: str
    service_name: str
    spec_id: str
    """Id of the SpecAssignment."""
    slot: int = 0
    desired: TaskState = TaskState.RUNNING
    attachments: list[Attachment] = []
    generic_resources: list[GenericResource] = []
    """The generic resources of the node that it got; they go into its environment."""
    draining: bool = False
    """Whether it must not stop yet, because hosts may still send it new connections. Limited by DRAIN_LIMIT."""
    linger: float = 0.0
    """Seconds to wait after that, for established connections."""


class SpecAssignment(Value, frozen=True, tag="spec"):
    """What the containers of a service revision need. Id: "<service>.<number>"."""

    id: str
    task: TaskSpec
    service_labels: dict[str, str] = {}
    host_ports: list[PortConfig] = []
    registry_login: bool = False
    """Whether its image is pulled with a login: the SecretAssignment `login_id`, whose data is an auth.json."""


class NetworkAssignment(Value, frozen=True, tag="network"):
    """A network this host takes part in."""

    id: str
    name: str
    vni: int
    subnet: str
    vip_range: str
    gateway: str
    """This host's bridge on it, with prefix length."""
    internal: bool = False
    mtu: int = 0
    """0 for that of the underlay minus the VXLAN overhead."""
    ingress: bool = False
    """Whether it carries the traffic of published ports."""


class ServiceAssignment(Value, frozen=True, tag="service"):
    """A service on a network. Id: "<service>.<network>"."""

    id: str
    network_id: str
    service_id: str
    name: str
    vip: str = ""
    """"" when it has none (dnsrr)."""
    aliases: list[str] = []
    ports: list[PortConfig] = []
    """Ports published through the mesh; only on the ingress network."""


class EndpointAssignment(Value, frozen=True, tag="endpoint"):
    """A task on a network, anywhere in the cluster, from when it is assigned. Id: "<task>.<network>"."""

    id: str
    network_id: str
    service_id: str
    task_id: str
    task_name: str
    node_id: str
    host: str
    """Underlay address of its host."""
    address: str
    """Without prefix length."""
    hostname: str = ""
    ready: bool = False
    """Whether it is in DNS and behind the VIP."""
    mac_address: str = msgspec.field(default="", name="MacAddress")
    """"" for the one that follows from the address."""
    lost: bool = False
    """Whether its host does not answer: connections to it are dead, and clients may be told so."""


class PeerAssignment(Value, frozen=True, tag="peer"):
    """Another host's bridge on a network. Id: "<node>.<network>"."""

    id: str
    network_id: str
    node_id: str
    host: str
    """Underlay address."""
    gateway: str
    """Its bridge's address on the network, without prefix length."""


class ImageAssignment(Value, frozen=True, tag="image"):
    """Hosts from which an image can be fetched. Id: the image reference as written in the spec."""

    id: str
    peers: list[str] = []
    """"node_id@address:port" of host services."""
    digest: str = ""
    """The digest that managers announce for the tag; "" for a reference that has a digest."""


class MemberAssignment(Value, frozen=True, tag="member"):
    """A node of the cluster. Every host knows all nodes, and which of them are managers. Id: the node's."""

    id: str
    manager: bool = False
    """Whether its wanted role is manager."""
    key: str = ""
    """Digest of its public key (api/wire/rpc.py); "" while that is not known."""


class StoredFileAssignment(Value, frozen=True):
    """A secret or config that a task of this host needs in its container."""

    id: str
    name: str = ""
    data: bytes = b""
    trouble: str = ""
    """Why there is no data; tasks that need the file are rejected with this text."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r}, {self.name!r})"  # the data belongs in no log


class SecretAssignment(StoredFileAssignment, frozen=True, tag="secret"):
    """A secret; the host holds it in memory only."""


class ConfigAssignment(StoredFileAssignment, frozen=True, tag="config"):
    """A config."""


def login_id(service_id: str) -> str:
    """Id of the SecretAssignment with the registry login of a service; its encryption is bound to this id."""
    return f"registry-login.{service_id}"


Assignment = (
    TaskAssignment | SpecAssignment | NetworkAssignment | ServiceAssignment | EndpointAssignment | PeerAssignment
    | ImageAssignment | MemberAssignment | SecretAssignment | ConfigAssignment
)  # fmt: skip
AssignmentKey = tuple[str, str]
"""(tag, id)"""


def key_of(resource: Assignment) -> AssignmentKey:
    """The key of an assignment in an assignment set."""
    return (str(resource.__struct_config__.tag), resource.id)
