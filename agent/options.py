"""The agent's options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from api.defaults import HOST_PORT
from api.service.resources import GenericResource


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """The options with which a host's agent starts."""

    node_id: str
    hostname: str
    directory: Path
    """The agent's directory: `<data-root>/agent`."""
    address: str
    """The address at which other hosts reach this one."""
    host_port: int = HOST_PORT
    manager_port: int = 0
    """Port of this node's manager API; 0 on a worker."""
    managers: tuple[str, ...] = ()
    """"address:host_port" of managers to try when none is stored."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Engine labels."""
    engine_version: str = ""
    generic_resources: tuple[GenericResource, ...] = ()
    starts: int = 8
    """Limit of containers being started at once, and of those being removed. On two cores 4 to 8 give the best rate;
    30 is no faster and triples the wait."""
