"""The compose front end: files to specs in phases (docs/design/compose-phases.md). Begin reading at load.py."""

__all__ = ["deploy", "load", "model", "read", "translate"]
