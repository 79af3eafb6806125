"""What is kept of a container on disk (`container.json`), so that a restarted agent finds its own again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog

from agent.runtime.interface import Container, ContainerPlan, Exit
from api.codec import Value, decode, encode, fields_of
from api.image_reference import familiar
from api.service.container import Mount
from api.service.service_spec import TaskSpec
from kit import mirrored_file

FILE = "container.json"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MadeMount:
    """A mount that can be made now."""

    mount: Mount
    oci: dict[str, Any]
    volume: str = ""
    """Name of the volume behind it."""


class Ended(Value, frozen=True):
    """How it ended."""

    code: int
    oom: bool = False
    time: float = 0.0


class VolumeUse(Value, frozen=True):
    """A volume it has mounted."""

    name: str
    target: str
    read_only: bool = False


class Record(Value, frozen=True):
    """A container. `pid` is 0 until it is made; a record without one is what a crash left."""

    id: str
    name: str
    task_id: str
    image: str
    image_id: str
    hostname: str
    netns: str
    spec: TaskSpec
    command: list[str] = []
    env: list[str] = []
    user: str = ""
    directory: str = ""
    mounts: list[Mount] = []
    volumes: list[VolumeUse] = []
    labels: dict[str, str] = {}
    created: float = 0.0
    started: float = 0.0
    pid: int = 0
    pid_born: int = 0
    """Start time in the kernel's ticks: tells it from a later process of the same number."""
    conmon: int = 0
    conmon_born: int = 0
    ended: Ended | None = None

    def save(self, directory: Path) -> None:
        """Write it, twice (kit/mirrored_file.py)."""
        mirrored_file.save(directory / FILE, encode(self))

    def view(self) -> Container:
        """As the port tells it."""
        return Container(
            id=self.id,
            name=self.name,
            task_id=self.task_id,
            image=self.image,
            image_id=self.image_id,
            created=self.created,
            started=self.started,
            pid=0 if self.ended else self.pid,
            exit=Exit(self.ended.code, self.ended.oom, self.ended.time) if self.ended else None,
            labels=dict(self.labels),
            command=tuple(self.command),
        )


def first(plan: ContainerPlan, now: float) -> Record:
    """The record of a container about to be made."""
    return Record(
        id=plan.id,
        name=plan.name,
        task_id=plan.task_id,
        image=plan.spec.container_spec.image,
        image_id=plan.image.id,
        hostname=plan.hostname,
        netns=plan.netns,
        spec=plan.spec,
        labels=plan.labels,
        created=now,
    )


def attributes(kept: Record) -> dict[str, str]:
    """What events say of a container: its labels, its image and its name."""
    return {**kept.labels, "image": familiar(kept.image), "name": kept.name}


def volume_uses(made: list[MadeMount]) -> list[VolumeUse]:
    """The volumes among the mounts."""
    return [VolumeUse(m.volume, m.mount.target, m.mount.read_only) for m in made if m.volume]


def read(directory: Path) -> Record:
    """Raises FileNotFoundError, Damaged."""
    return mirrored_file.load(directory / FILE, tolerant)


def tolerant(data: bytes) -> Record:
    """A record of this version, an older or a newer one: a part that is not understood counts as not there.

    The container runs whatever its record says, and its id, pids and names are what it takes to look after it.
    Raises ValueError where not even those are there.
    """
    try:
        return decode(Record, data)
    except msgspec.ValidationError as error:
        problem = str(error)
    raw = msgspec.json.decode(data, type=dict[str, object])
    parts: dict[str, object] = {"Spec": {}}
    for field in fields_of(Record):
        try:
            if field.encode_name in raw:
                msgspec.convert(raw[field.encode_name], field.type)
                parts[field.encode_name] = raw[field.encode_name]
        except msgspec.ValidationError:
            log.warning("a part of a container's record is not understood", part=field.encode_name, problem=problem)
    if lacking := [field.name for field in fields_of(Record) if field.required and field.encode_name not in parts]:
        raise ValueError(f"lacks {', '.join(lacking)}")
    return msgspec.convert(parts, Record)


def born(pid: int) -> int:
    """A process' start time in ticks since boot; 0 when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    fields = stat.rsplit(")", 1)[1].split()
    return 0 if fields[0] == "Z" else int(fields[19])


def lives(pid: int, when: int) -> bool:
    """Whether that very process still runs (a zombie does not)."""
    return pid > 0 and when > 0 and born(pid) == when
