"""The compose front end: from files to specs in numbered phases (docs/design/compose-phases.md). Start at load.py."""

__all__ = ["load", "model", "read", "translate"]
