"""What a manager tells an agent: resources, each with a kind and an id; sent whole once, then by difference.

A host gets its own tasks and their specs; for each network it takes part in (one of its tasks is on it, or it is
ingress) the network, the services, endpoints and peers on it; the secrets and configs its live tasks use; where to
fetch images; and who belongs to the cluster. Nothing else.
"""

from __future__ import annotations

import msgspec

from api.codec import Value
from api.service.ports import PortConfig
from api.service.resources import GenericResource
from api.service.service_spec import TaskSpec
from api.states import TaskState


class Attachment(Value, frozen=True):
    """A task's place on a network."""

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
    """What it was given of the node's, for its environment."""
    draining: bool = False
    """It is to stop, but not before hosts send it nothing new: wait until this is false, or for DRAIN_LIMIT."""
    linger: float = 0.0
    """Seconds to wait after that, for connections that were under way."""


class SpecAssignment(Value, frozen=True, tag="spec"):
    """A service revision as far as its containers are concerned. Id: "<service>.<number>"."""

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
    """0: the underlay's, less what VXLAN needs."""
    ingress: bool = False
    """Published ports lead into it."""


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
    """Published through the mesh; only on the ingress network's order."""


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
    """In DNS and behind the VIP only then."""
    mac_address: str = msgspec.field(default="", name="MacAddress")
    """"" for the one that follows from the address."""
    lost: bool = False
    """Its host does not answer: connections to it are over, and their clients may learn it."""


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
    """Hosts that can give an image. Id: the image reference as it stands in the spec."""

    id: str
    peers: list[str] = []
    """"node_id@address:port" of host services."""
    digest: str = ""
    """What managers say that a reference without a digest means; "" for one that has its own."""


class MemberAssignment(Value, frozen=True, tag="member"):
    """A node of the cluster: every host knows all of them, and whom among them to obey. Id: the node's."""

    id: str
    manager: bool = False
    """Whether it is wanted to be one."""
    key: str = ""
    """Digest of its public key (api/wire/rpc.py); "" while that is not known."""


class StoredFileAssignment(Value, frozen=True):
    """What a task of this host needs to have in its container."""

    id: str
    name: str = ""
    data: bytes = b""
    trouble: str = ""
    """Why there is no data; tasks that need it are rejected with this."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r}, {self.name!r})"  # the data belongs in no log


class SecretAssignment(StoredFileAssignment, frozen=True, tag="secret"):
    """A secret. Kept in memory only."""


class ConfigAssignment(StoredFileAssignment, frozen=True, tag="config"):
    """A config."""


def login_id(service_id: str) -> str:
    """Id of the SecretAssignment with a service's login at its registry; also what its encryption is bound to."""
    return f"registry-login.{service_id}"


Assignment = (
    TaskAssignment | SpecAssignment | NetworkAssignment | ServiceAssignment | EndpointAssignment | PeerAssignment
    | ImageAssignment | MemberAssignment | SecretAssignment | ConfigAssignment
)  # fmt: skip
AssignmentKey = tuple[str, str]
"""(tag, id)"""


def key_of(resource: Assignment) -> AssignmentKey:
    """What identifies a resource in an assignment set."""
    return (str(resource.__struct_config__.tag), resource.id)
