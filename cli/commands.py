"""What there is to say to `argosy`: the table of its commands, and where the daemon is that they speak to.

Loaded by every command, also by the quick answers, so it imports nothing but what Python has loaded anyway.
"""

from __future__ import annotations

import os

ABOUT = "Run compose files and services on all of your machines."
DEFAULT_HOST = "unix:///run/argosy/docker.sock"

COMMANDS = {
    "init": ("cli.cluster:init", "Make a cluster, with this host as its first manager"),
    "join": ("cli.cluster:join", "Make this host part of a cluster"),
    "leave": ("cli.cluster:leave", "Take this host out of its cluster"),
    "join-token": ("cli.cluster:join_token", "Show or renew the token that hosts join with"),
    "cluster": ("cli.cluster_settings:cluster", "Show and change what holds for the whole cluster"),
    "node": ("cli.node:node", "Manage the cluster's hosts"),
    "stack": ("cli.stack:stack", "Deploy and manage compose files"),
    "service": ("cli.service:service", "Manage services"),
    "network": ("cli.network:network", "Manage networks"),
    "secret": ("cli.secret:secret", "Manage the cluster's secrets"),
    "config": ("cli.config:config", "Manage the cluster's configs"),
    "volume": ("cli.volume:volume", "Manage this host's volumes"),
    "image": ("cli.image:image", "Manage this host's images"),
    "events": ("cli.events:events", "Show what happens in the cluster, as it happens"),
    "ps": ("cli.host:ps", "List this host's containers"),
    "logs": ("cli.host:logs", "Show the output of a service, task or container"),
    "info": ("cli.host:info", "Tell about this host and its cluster"),
    "version": ("cli.host:version", "Show versions of command and daemon"),
    "lab": ("cli.lab:lab", "Make a cluster of several hosts on this machine"),
    "check": ("cli.check:check", "Check whether this machine can be a host"),
}


def host_of(said: str | None) -> str:
    """Where the daemon listens: as the user says, or the environment, or where it usually does."""
    return said or os.environ.get("ARGOSY_HOST") or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
