"""The containers of this host: their records, in memory and on disk, with the ends that have come meanwhile.

The records are all that the runtime needs to go on after a restart. A container's end is learned from the exit file of
its monitor (conmon), which runs on without us.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from agent.runtime.containers import conmon, container_record
from agent.runtime.containers.container_record import Ended, Record
from agent.runtime.runtime_events import RuntimeEvents
from api.errors import Conflict, NotFound
from kit import mirrored_file
from kit.timing import Clock

LOST = 255
"""Exit code of a container whose end nobody saw (the host went down): Docker's."""


class ContainerStore:
    """The records below `root`, one directory for each container; what happens to them goes into `events`."""

    def __init__(self, root: Path, events: RuntimeEvents, clock: Clock) -> None:
        """Reads what a former agent left."""
        self.root = root
        self._events = events
        self._clock = clock
        self._records = {record.id: record for record in _read_all(root)}

    def __contains__(self, id: str) -> bool:
        return id in self._records

    def __len__(self) -> int:
        return len(self._records)

    def all(self) -> list[Record]:
        """Every record, also of containers whose making was cut short."""
        return list(self._records.values())

    def find(self, id: str) -> Record | None:
        """The record as it was written last."""
        return self._records.get(id)

    def get(self, id: str) -> Record:
        """The record as it was written last. Raises NotFound."""
        if (record := self._records.get(id)) is None:
            raise NotFound(f"No such container: {id}")
        return record

    def settled(self, id: str) -> Record:
        """The record, with its end if that has come. Raises NotFound."""
        record = self.get(id)
        if record.ended or not record.pid:
            return record
        if ended := self._end_of(record):
            if ended.oom:
                self.publish(record, "oom")
            self.publish(record, "die", exitCode=str(ended.code))
            return self.change(record, ended=ended)
        return record

    def running(self, id: str) -> Record:
        """The record of a container that runs. Raises NotFound, Conflict."""
        record = self.settled(id)
        if record.ended or not record.started:
            raise Conflict(f"container {record.name} is not running")
        return record

    def add(self, record: Record) -> None:
        """Know of a container that is about to be made; `save` writes it to the disk."""
        self._records[record.id] = record

    def save(self, id: str) -> None:
        """Write a container's record; its directory is there."""
        self._records[id].save(self.directory(id))

    def change(self, record: Record, **changes: object) -> Record:
        """Replace parts of a record, on the disk too."""
        changed = msgspec.structs.replace(record, **changes)
        self.add(changed)
        self.save(record.id)
        return changed

    def discard(self, id: str) -> None:
        """Forget a container; its directory is removed already."""
        del self._records[id]

    def directory(self, id: str) -> Path:
        """A container's directory."""
        return self.root / id

    def publish(self, record: Record, action: str, **attributes: str) -> None:
        """Something happened to a container."""
        self._events.publish("container", action, record.id, container_record.attributes(record) | attributes)

    def users_of_image(self, id: str) -> list[str]:
        """Names of the containers that were made from an image."""
        return [record.name for record in self._records.values() if record.image_id == id]

    def users_of_volume(self, name: str) -> list[str]:
        """Ids of the containers that have a volume."""
        return [record.id for record in self._records.values() if any(use.name == name for use in record.volumes)]

    def _end_of(self, record: Record) -> Ended | None:
        """How a container has ended; None while it, or its monitor, lives."""
        if ended := self._seen_end(record):
            return ended
        monitored = container_record.lives(record.conmon, record.conmon_born)
        if monitored or container_record.lives(record.pid, record.pid_born):
            return None
        # the exit file may have been written between the two looks
        return self._seen_end(record) or Ended(LOST, False, self._clock())

    def _seen_end(self, record: Record) -> Ended | None:
        directory = self.directory(record.id)
        if not (found := conmon.exit_code(record.id, directory)):
            return None
        code, time = found
        return Ended(code, conmon.was_out_of_memory(directory), time)


def _read_all(root: Path) -> list[Record]:
    found = []
    for directory in root.iterdir():
        try:
            record = container_record.read(directory)
        except (OSError, mirrored_file.Damaged):
            continue  # cut off before its record was written, or lost since: recovery looks for what exists of it
        if record.id == directory.name:
            found.append(record)
    return found
