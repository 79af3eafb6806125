"""The table of `argosy`'s commands, and the address of the daemon they talk to.

Every command loads it, and so does the fast path, so it imports only what Python has loaded anyway.
"""

from __future__ import annotations

import os

ABOUT = "Run compose files and services on all of your machines."
DEFAULT_HOST = "unix:///run/argosy/docker.sock"

COMMANDS = {
    "init": ("cli.commands.init_join:init", "Make a cluster, with this host as its first manager"),
    "join": ("cli.commands.init_join:join", "Make this host part of a cluster"),
    "leave": ("cli.commands.init_join:leave", "Take this host out of its cluster"),
    "join-token": ("cli.commands.init_join:join_token", "Show or renew the token that hosts join with"),
    "cluster": ("cli.commands.cluster:cluster", "Show and change what holds for the whole cluster"),
    "node": ("cli.commands.node:node", "Manage the cluster's hosts"),
    "stack": ("cli.commands.stack:stack", "Deploy and manage compose files"),
    "service": ("cli.commands.service:service", "Manage services"),
    "network": ("cli.commands.network:network", "Manage networks"),
    "secret": ("cli.commands.secret:secret", "Manage the cluster's secrets"),
    "config": ("cli.commands.config:config", "Manage the cluster's configs"),
    "volume": ("cli.commands.volume:volume", "Manage this host's volumes"),
    "image": ("cli.commands.image:image", "Manage this host's images"),
    "events": ("cli.commands.events:events", "Show what happens in the cluster, as it happens"),
    "ps": ("cli.commands.host:ps", "List this host's containers"),
    "logs": ("cli.commands.host:logs", "Show the output of a service, task or container"),
    "info": ("cli.commands.host:info", "Tell about this host and its cluster"),
    "version": ("cli.commands.host:version", "Show versions of command and daemon"),
    "lab": ("cli.commands.lab:lab", "Make a cluster of several hosts on this machine"),
    "check": ("cli.commands.check:check", "Check whether this machine can be a host"),
}


def host_of(given: str | None) -> str:
    """The daemon's address: the user's, else the environment's, else the default."""
    return given or os.environ.get("ARGOSY_HOST") or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
