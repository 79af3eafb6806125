"""The command line of argosyd. Options have dockerd's names."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import click

from agent.runtime.oci.container_defaults import PIDS_LIMIT
from api.defaults import ETCD_CLIENT_PORT, ETCD_PEER_PORT, HOST_PORT, MANAGER_PORT
from api.errors import ArgosyError
from api.version import release
from kit.process import use_pidfds
from kit.timing import wall_clock
from node.daemon import Daemon
from node.log_setup import LEVELS, configure
from node.settings import Settings, read_generic_resources, read_labels, read_usual, size_option

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(release(), prog_name="argosyd")
@click.option("--data-root", type=click.Path(path_type=Path), default="/var/lib/argosy", help="What must be kept.")
@click.option("--exec-root", type=click.Path(path_type=Path), default="/run/argosy", help="What a reboot may lose.")
@click.option("-H", "--host", "hosts", multiple=True, help="Socket of the HTTP API: unix:///path. Repeatable.")
@click.option(
    "--docker-socket",
    type=_FILE,
    default=None,
    help="Serve the API there too while no other daemon does: /var/run/docker.sock, for what expects Docker's.",
)
@click.option("-p", "--pidfile", type=_FILE, default=None, help="Default: argosyd.pid in the exec root.")
@click.option("--listen-addr", default=f"0.0.0.0:{MANAGER_PORT}", help="Where a manager listens for nodes, TLS.")
@click.option("--advertise-addr", default="", help="Where other hosts reach this one: an address or an interface.")
@click.option("--swarm-default-advertise-addr", default="", help="The same, under dockerd's name.")
@click.option("--host-addr", default="0.0.0.0", help="Where the host's gRPC port listens.")
@click.option("--host-port", type=click.IntRange(1, 65535), default=HOST_PORT, help="The host's gRPC port, mTLS.")
@click.option("--etcd-client-port", type=click.IntRange(1, 65535), default=ETCD_CLIENT_PORT)
@click.option("--etcd-peer-port", type=click.IntRange(1, 65535), default=ETCD_PEER_PORT)
@click.option("--etcd-endpoints", multiple=True, help="host:port of an existing etcd, instead of one of our own.")
@click.option("--etcd-ca", type=_FILE, default=None, help="CA of the existing etcd; without these three it is plain.")
@click.option("--etcd-cert", type=_FILE, default=None, help="Our certificate for the existing etcd.")
@click.option("--etcd-key", type=_FILE, default=None, help="Our key for the existing etcd.")
@click.option("--etcd-quota", default="2g", help="What the cluster's state may take on a manager's disk.")
@click.option("--etcd-memory", default="", help="Memory for a manager's etcd: 1g. Default: half of it, 512m to 4g.")
@click.option("--memory-limit", default="", help="Memory for argosyd itself, without containers and etcd: 2g.")
@click.option("--label", "labels", multiple=True, help="Engine label key=value, for constraints. Repeatable.")
@click.option(
    "--node-generic-resource",
    "generic_resources",
    multiple=True,
    metavar="KIND=VALUE",
    help="What tasks may reserve of this host: ssd=3 counts, gpu=UUID1 names one. Repeatable.",
)
@click.option(
    "--default-pids-limit",
    type=click.IntRange(-1),
    default=PIDS_LIMIT,
    help="Most processes of a container whose service does not say; 0 or -1: no limit.",
)
@click.option(
    "--log-driver",
    type=click.Choice(["json-file", "local", "none"]),
    default="json-file",
    help="Of containers whose service does not say.",
)
@click.option(
    "--log-opt",
    "log_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="The same for its options: max-size=10m and max-file=3 unless said. Repeatable.",
)
@click.option("-l", "--log-level", type=click.Choice(list(LEVELS)), default="info")
def main(
    hosts: tuple[str, ...],
    labels: tuple[str, ...],
    generic_resources: tuple[str, ...],
    etcd_endpoints: tuple[str, ...],
    advertise_addr: str,
    swarm_default_advertise_addr: str,
    log_level: str,
    default_pids_limit: int,
    log_driver: str,
    log_options: tuple[str, ...],
    etcd_quota: str,
    etcd_memory: str,
    memory_limit: str,
    **options: Any,
) -> None:
    """Argosy's daemon: runs this host's containers, and the cluster on its managers."""
    configure(log_level)
    try:
        settings = Settings(
            hosts=hosts,
            labels=read_labels(labels),
            generic_resources=read_generic_resources(generic_resources),
            etcd_endpoints=tuple(endpoint for item in etcd_endpoints for endpoint in item.split(",") if endpoint),
            advertise_addr=advertise_addr or swarm_default_advertise_addr,
            log_level=log_level,
            usual=read_usual(default_pids_limit, log_driver, log_options),
            etcd_quota=size_option("--etcd-quota", etcd_quota, 64 << 20),
            etcd_memory=size_option("--etcd-memory", etcd_memory, 128 << 20),
            memory=size_option("--memory-limit", memory_limit, 128 << 20),
            **options,
        )
        _ = settings.sockets
        os.umask(0o022)  # also for directories made in containers; the service manager may have set another
        use_pidfds()
        asyncio.run(_run(settings))
    except ArgosyError as error:
        raise click.ClickException(str(error)) from None


async def _run(settings: Settings) -> None:
    await Daemon(settings, wall_clock, random.Random()).run()


if __name__ == "__main__":
    main()
