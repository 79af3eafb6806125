"""The version of Argosy."""

from __future__ import annotations


def release() -> str:
    """The version, as installed."""
    # takes longer to load than most commands to answer
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("argosy")
    except PackageNotFoundError:
        return "0.1.0"
