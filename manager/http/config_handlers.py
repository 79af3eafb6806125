"""/configs: files for containers that are not secret."""

from __future__ import annotations

import msgspec

from api.objects.kinds import CONFIG
from api.objects.wanted import Config
from api.stored_file import MOST_CONFIG, ConfigSpec
from manager.http.stored_file_handlers import StoredFileHandlers
from manager.store.interface import Change
from manager.store.state import State


class ConfigHandlers(StoredFileHandlers[Config, ConfigSpec]):
    """Handlers of /configs."""

    what = "config"
    most = MOST_CONFIG
    kind = CONFIG
    spec_type = ConfigSpec

    def made(self, state: State, id: str, now: float, spec: ConfigSpec) -> tuple[Config, list[Change]]:
        """A config is stored as it was sent."""
        return Config(id, now, now, msgspec.structs.replace(spec, templating=None)), []

    def data(self, state: State, stored: Config) -> bytes:
        """The content."""
        return stored.spec.data

    def shown_data(self, stored: Config) -> bytes:
        """Answers show it, as Docker's do."""
        return stored.spec.data
