"""The phases of loading, one file each."""

__all__ = [
    "canonical",
    "check",
    "extend",
    "file_contents",
    "include",
    "interpolate",
    "merge",
    "paths",
    "resolve",
    "sources",
    "verify",
]
