"""The flags of `init` and `cluster update` as the API's request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.engine.swarm import (
    CAConfigRequest,
    DispatcherRequest,
    EncryptionConfigRequest,
    OrchestrationRequest,
    SwarmUpdateRequest,
)
from cli.command_errors import BadArgument
from cli.flags.flag_values import duration


def cluster_spec(given: Mapping[str, Any], labels: dict[str, str]) -> SwarmUpdateRequest:
    """The settings that were given; the cluster keeps the others. Raises a usage error for a bad duration."""
    return SwarmUpdateRequest(
        labels=labels,
        orchestration=OrchestrationRequest(given["task_history_limit"]),
        dispatcher=DispatcherRequest(_duration("--dispatcher-heartbeat", given["dispatcher_heartbeat"])),
        ca_config=CAConfigRequest(_duration("--cert-expiry", given["cert_expiry"])),
        encryption_config=EncryptionConfigRequest(given.get("autolock", False)),
    )


def _duration(flag: str, text: str | None) -> int:
    """Nanoseconds; 0 where nothing is given."""
    try:
        return duration(text) if text else 0
    except ValueError as error:
        raise BadArgument(f"{flag}: {error}") from None
