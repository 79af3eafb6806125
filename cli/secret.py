"""`argosy secret`: data for containers that nobody reads but they."""

from __future__ import annotations

from api.filespecs import SecretSpec
from cli.stored_files import commands

secret = commands("secret", SecretSpec)
