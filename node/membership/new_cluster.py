"""The cluster object that POST /swarm/init asks for."""

from __future__ import annotations

import ipaddress

from api.defaults import ADDRESS_POOL, SUBNET_LENGTH, VXLAN_PORT
from api.engine.swarm import SwarmInitRequest
from api.errors import Invalid, Unimplemented
from api.network.subnets import SPECIAL, special
from api.objects.wanted import Cluster
from manager.http.cluster.swarm_handlers import updated


def new_cluster(request: SwarmInitRequest, cluster_id: str, now: float) -> Cluster:
    """The cluster a request asks for, without CA and secrets. Raises Invalid, Unimplemented."""
    if request.auto_lock_managers:
        raise Unimplemented("AutoLockManagers: locked managers are not possible yet; leave --autolock out")
    if request.force_new_cluster:
        raise Unimplemented("ForceNewCluster: restore etcd's data directory from a backup instead")
    length = request.subnet_size or SUBNET_LENGTH
    cluster = Cluster(
        id=cluster_id,
        created_at=now,
        updated_at=now,
        address_pool=read_pools(request.default_addr_pool, length),
        subnet_length=length,
        data_path_port=read_data_port(request.data_path_port),
    )
    return updated(cluster, request.spec)


def read_pools(pools: list[str], length: int) -> list[str]:
    """Address pools, checked against the length of the subnets to be cut from them. Raises Invalid."""
    networks: list[ipaddress.IPv4Network] = []
    for text in pools:
        try:
            network = ipaddress.IPv4Network(text)
        except ValueError:
            raise Invalid(f"DefaultAddrPool: {text!r} is no IPv4 network; an example of one is 10.0.0.0/8") from None
        if network.prefixlen > length:
            raise Invalid(f"SubnetSize: a /{length} does not fit into the address pool {text}")
        if (what := special(network)) and any(network.subnet_of(other) for other in SPECIAL):
            raise Invalid(f"DefaultAddrPool: {text} lies in {what}; nothing could be given from it")
        if any(network.overlaps(other) for other in networks):
            raise Invalid(f"DefaultAddrPool: {text} overlaps another pool")
        networks.append(network)
    if not 8 <= length <= 29:
        raise Invalid(f"SubnetSize: {length} is not between 8 and 29")
    return pools or [ADDRESS_POOL]


def read_data_port(port: int) -> int:
    """0 is the default. Raises Invalid (Docker's range: 1024 to 49151)."""
    if port and not 1024 <= port <= 49151:
        raise Invalid(f"DataPathPort: {port} is not between 1024 and 49151")
    return port or VXLAN_PORT
