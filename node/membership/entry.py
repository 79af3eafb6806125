"""A host's way to a node's identity: making a cluster, or joining one. Nothing is started or stored here."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from api.defaults import MANAGER_PORT
from api.engine.swarm import SwarmInitRequest, SwarmJoinRequest
from api.errors import Forbidden, Invalid
from api.ids import new_id
from api.network.network_spec import INGRESS, NetworkSpec
from api.node_spec import NodeSpec
from api.objects.kinds import CLUSTER, DEFAULT_CLUSTER, NETWORK, NODE
from api.objects.wanted import Cluster, Network, Node
from api.states import Role
from api.wire.join_messages import JoinAnswer, JoinRequest
from api.wire.rpc import Credentials
from kit.ip import join_host_port
from kit.timing import Clock
from manager.http.cluster.join_port import read_availability, sign_for
from manager.security import ca, sealing
from manager.security.revocation import record_of
from manager.store.interface import ABSENT, Put
from node.membership.advertise_address import advertised, host_port, interfaces, listening, resolve
from node.membership.identity import Identity, Membership
from node.membership.join_client import ManagerClient
from node.membership.new_cluster import new_cluster
from node.settings import Settings


@dataclass(frozen=True, slots=True)
class Entry:
    """The identity of a host that enters a cluster."""

    identity: Identity
    first: tuple[Put, ...] = ()
    """What the store of a new cluster begins with; empty for one that exists."""


class EntryDesk:
    """Turns the requests to make and to join a cluster into identities."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    def found(self, request: SwarmInitRequest) -> Entry:
        """A new cluster, with this host as its first manager. Raises Invalid, Unimplemented."""
        cluster = new_cluster(request, new_id(), self._clock())
        availability = read_availability(request.availability)
        listen, address = self._addresses(request.listen_addr, request.advertise_addr)
        key, node_id = ca.new_key(), new_id()
        csr = ca.signing_request(key, certificate_addresses(address))
        cluster = with_new_keys(cluster, node_id, ca.requested_key(csr), self._clock())
        membership = Membership(
            node_id=node_id,
            cluster_id=cluster.id,
            listen_addr=listen,
            address=address,
            advertise_addr=request.advertise_addr,
            data_path_addr=_data_path(request.data_path_addr),
            data_path_port=cluster.data_path_port,
            managers=[join_host_port(address, self._settings.host_port)],
            apis=[join_host_port(address, host_port(listen, MANAGER_PORT)[1])],
        )
        certificate = sign_for(cluster, csr, node_id, Role.MANAGER, self._clock())
        spec = NodeSpec(role=Role.MANAGER, availability=availability)
        node = Node(node_id, self._clock(), self._clock(), spec, ca.requested_key(csr))
        identity = Identity(membership, Credentials(certificate, key, cluster.ca_certificate.encode()))
        return Entry(identity, (*first_objects(cluster, node), record_of(node_id, certificate)))

    async def join(self, request: SwarmJoinRequest) -> Entry:
        """A node of the cluster at `RemoteAddrs`. Raises Invalid, Forbidden, Unavailable."""
        if not request.remote_addrs:
            raise Invalid("at least 1 RemoteAddr is required to join")
        ca.token_digest(request.join_token)
        read_availability(request.availability)
        listen, address = self._addresses(request.listen_addr, request.advertise_addr)
        key = ca.new_key()
        csr = ca.signing_request(key, certificate_addresses(address))
        wish = JoinRequest(request.join_token.strip(), csr.decode(), request.availability)
        answer = await ManagerClient(request.remote_addrs).join(wish)
        membership = Membership(
            node_id=answer.node_id,
            cluster_id=answer.cluster_id,
            listen_addr=listen,
            address=address,
            advertise_addr=request.advertise_addr,
            data_path_addr=_data_path(request.data_path_addr),
            data_path_port=answer.data_path_port,
            managers=answer.managers,
            apis=answer.apis or request.remote_addrs,
        )
        return Entry(_identity(membership, answer, key))

    def _addresses(self, listen: str, advertise: str) -> tuple[str, str]:
        """Listen address ("host:port") and advertised IP address. Raises Invalid."""
        present = interfaces()
        host, port = listening(listen or self._settings.listen_addr, MANAGER_PORT, present)
        address = advertised(advertise or self._settings.advertise_addr, host, present)
        return join_host_port(host, port), address


def with_new_keys(cluster: Cluster, node_id: str, public_key: bytes, now: float) -> Cluster:
    """The cluster with a CA, join tokens, and a sealing key that the node of this public key (DER) can open."""
    authority, seal_key = ca.new_authority(now), sealing.new_key()
    return msgspec.structs.replace(
        cluster,
        seal_key=seal_key,
        wraps=sealing.wraps(seal_key, {node_id: public_key}),
        ca_certificate=authority.certificate.decode(),
        ca_key=authority.key.decode(),
        worker_secret=ca.new_secret(),
        manager_secret=ca.new_secret(),
    )


def first_objects(cluster: Cluster, node: Node) -> tuple[Put, ...]:
    """What a new cluster's store begins with: the cluster, its first node, and the routing mesh's network."""
    ingress = NetworkSpec(name=INGRESS, driver="overlay", scope="swarm", ingress=True)
    return (
        Put(CLUSTER, DEFAULT_CLUSTER, cluster, ABSENT),
        Put(NODE, node.id, node, ABSENT),
        Put(NETWORK, INGRESS, Network(INGRESS, cluster.created_at, ingress), ABSENT),
    )


def certificate_addresses(address: str) -> tuple[str, ...]:
    """The IP names a manager's certificate needs: etcd's members ask for the address they dialled."""
    return tuple(dict.fromkeys((address, "127.0.0.1")))


def _data_path(given: str) -> str:
    return resolve(given, interfaces()) if given else ""


def _identity(membership: Membership, answer: JoinAnswer, key: bytes) -> Identity:
    authority = answer.ca_certificate.encode()
    identity = Identity(membership, Credentials(answer.certificate.encode(), key, authority))
    if ca.subject_of(identity.credentials.certificate).node_id != answer.node_id:
        raise Forbidden("the manager answered with a certificate of another node")
    return identity
