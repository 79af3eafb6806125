"""Host messages: the gRPC service of a host for others, with logs, images and notices."""

from __future__ import annotations

from api.codec import Value
from api.wire.session_messages import DISPATCHER


class LogsRequest(Value, frozen=True):
    """Host.Logs (managers only): the log of a task's container."""

    task_id: str
    follow: bool = False
    since: float = 0.0
    """Unix seconds."""
    tail: int = -1
    """Lines from the end; -1 for all."""
    stdout: bool = True
    stderr: bool = True


class LogLine(Value, frozen=True):
    """One line of a container's output, or the part of a line that fits."""

    time: float
    stream: str
    """stdout or stderr."""
    text: bytes
    """With the newline, if the line is complete."""


class LogLines(Value, frozen=True):
    """An answer to LogsRequest: the next lines, some hundred KiB at most."""

    lines: list[LogLine]


class ExportRequest(Value, frozen=True):
    """Host.ExportImage (managers, and nodes with a task that needs the image): answered by a stream of raw bytes, a tar
    archive of `blobs/sha256/<digest>`: manifests, config, layers.
    """

    reference: str
    """A reference with a digest, or an image id; never a tag, because a host must not decide what it means."""


class ExportCheck(Value, frozen=True):
    """Asks whether a node may fetch an image."""

    node_id: str
    reference: str


class ExportVerdict(Value, frozen=True):
    """The answer, and why it is negative."""

    allowed: bool
    why: str = ""


class ManagersNotice(Value, frozen=True):
    """Host.Managers (managers only): the managers' current addresses, for a host that cannot find them. Fields as in
    SessionInfo."""

    managers: list[str] = []
    apis: list[str] = []
    ids: dict[str, str] = {}


HOST = "argosy.Host"
MAY_EXPORT_METHOD = f"/{DISPATCHER}/MayExport"
LOGS_METHOD = f"/{HOST}/Logs"
EXPORT_METHOD = f"/{HOST}/ExportImage"
MANAGERS_METHOD = f"/{HOST}/Managers"
