"""/configs: files for containers that are no secrets."""

from __future__ import annotations

import base64

import msgspec

from api.objects.kinds import CONFIG
from api.objects.wanted import Config
from api.stored_file import MOST_CONFIG, ConfigSpec
from manager.http.services.service_answers import Json
from manager.http.stored_file_handlers import Files
from manager.store.interface import Change
from manager.store.state import State


class Configs(Files[Config, ConfigSpec]):
    """Handlers of /configs."""

    what = "config"
    most = MOST_CONFIG
    kind = CONFIG
    spec_type = ConfigSpec

    def made(self, state: State, id: str, now: float, spec: ConfigSpec) -> tuple[Config, list[Change]]:
        """As it came."""
        return Config(id, now, now, msgspec.structs.replace(spec, templating=None)), []

    def data(self, state: State, stored: Config) -> bytes:
        """As it is."""
        return stored.spec.data

    def shown(self, stored: Config) -> Json:
        """With its data, as Docker has it."""
        return {"Data": base64.b64encode(stored.spec.data).decode()}
