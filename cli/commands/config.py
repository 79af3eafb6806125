"""`argosy config`: files for containers."""

from __future__ import annotations

from api.stored_file import ConfigSpec
from cli.commands.stored_files import commands

config = commands("config", ConfigSpec)
