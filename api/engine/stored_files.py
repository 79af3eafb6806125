"""Secrets and configs: the answers of /secrets and /configs. (Clients send a SecretSpec or a ConfigSpec.)"""

from __future__ import annotations

from api.engine.common import Answer, VersionAnswer, always
from api.labels import stack_of


class StoredFileSpecAnswer(Answer, frozen=True):
    """The spec of a secret or a config. Answers about secrets have no data."""

    name: str = always("")
    labels: dict[str, str] = always({})
    data: bytes | None = None


class StoredFileAnswer(Answer, frozen=True):
    """GET /secrets/{id} and /configs/{id}, and the items of their lists."""

    id: str = always("")
    version: VersionAnswer = always(VersionAnswer())
    created_at: str = always("")
    updated_at: str = always("")
    spec: StoredFileSpecAnswer = always(StoredFileSpecAnswer())

    @property
    def stack(self) -> str:
        """The stack it belongs to; "" for none."""
        return stack_of(self.spec.labels)
