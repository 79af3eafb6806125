"""The cluster's keys, and who may do what."""

__all__ = [
    "border",
    "ca",
    "data_key",
    "encryption",
    "registry_credentials",
    "rekeying",
    "revocation",
    "rights",
    "sealing",
]
