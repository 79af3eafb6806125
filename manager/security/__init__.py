"""Security: the cluster's keys and certificates, permissions, and checks of what hosts report."""

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
