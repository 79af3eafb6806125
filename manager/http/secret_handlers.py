"""/secrets: data for containers that the API never shows again."""

from __future__ import annotations

import msgspec

from api.objects.kinds import SECRET
from api.objects.wanted import Secret
from api.stored_file import MOST_SECRET, SecretSpec
from manager.http.stored_file_handlers import StoredFileHandlers
from manager.security import encryption
from manager.security.data_key import data_key, unsealed
from manager.store.interface import Change
from manager.store.state import State


class SecretHandlers(StoredFileHandlers[Secret, SecretSpec]):
    """Handlers of /secrets."""

    what = "secret"
    most = MOST_SECRET
    kind = SECRET
    spec_type = SecretSpec

    def made(self, state: State, id: str, now: float, spec: SecretSpec) -> tuple[Secret, list[Change]]:
        """A secret is stored sealed; with a cluster's first secret the data key is made."""
        key, more = data_key(state)
        bare = msgspec.structs.replace(spec, data=b"", driver=None, templating=None)
        return Secret(id, now, now, bare, encryption.seal(key, id, spec.data)), more

    def data(self, state: State, stored: Secret) -> bytes:
        """The content, to compare it."""
        return unsealed(state, stored.id, stored.sealed)

    def shown_data(self, stored: Secret) -> None:
        """None: answers never show a secret."""
