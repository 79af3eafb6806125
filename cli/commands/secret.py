"""`argosy secret`: confidential data for containers."""

from __future__ import annotations

from api.stored_file import SecretSpec
from cli.commands.stored_files import commands

secret = commands("secret", SecretSpec)
