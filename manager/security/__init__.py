"""The cluster's keys, and who may do what."""

__all__ = ["ca", "data_key", "encryption", "registry_credentials", "rekeying", "revocation", "rights", "sealing"]
