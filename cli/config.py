"""`argosy config`: files for containers."""

from __future__ import annotations

from api.filespecs import ConfigSpec
from cli.stored_files import commands

config = commands("config", ConfigSpec)
