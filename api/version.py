"""Which Argosy this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """The version, as installed."""
    try:
        return version("argosy")
    except PackageNotFoundError:
        return "0.1.0"
