"""What a container gets whose spec does not say: argosyd's --default-pids-limit, --log-driver and --log-opt."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.runtime.logs.log_file import LogPolicy

PIDS_LIMIT = 4096
"""More than an honest service has of processes and threads, fewer than a host has room for: a fork bomb ends here."""


@dataclass(frozen=True, slots=True)
class ContainerDefaults:
    """The host's defaults. `pids_limit` 0 is no limit."""

    pids_limit: int = PIDS_LIMIT
    log_driver: str = "json-file"
    log: LogPolicy = field(default_factory=LogPolicy)
