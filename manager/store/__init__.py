"""The cluster's state: etcd, a local indexed view of it, and its in-memory twin."""

__all__ = ["batches", "cache", "claims", "held_key", "interface", "keys", "lookup", "naming", "state", "transact"]
