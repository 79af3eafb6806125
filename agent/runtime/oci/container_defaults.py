"""Defaults for values that a container's spec does not set: --default-pids-limit, --log-driver and --log-opt."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.runtime.logs.log_file import LogPolicy

PIDS_LIMIT = 4096
"""Processes and threads: more than ordinary services have, fewer than a host can bear. It stops a fork bomb."""


@dataclass(frozen=True, slots=True)
class ContainerDefaults:
    """The host's defaults. `pids_limit` 0 means no limit."""

    pids_limit: int = PIDS_LIMIT
    log_driver: str = "json-file"
    log: LogPolicy = field(default_factory=LogPolicy)
