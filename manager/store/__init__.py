"""The store: the cluster's indexed state, the interface for changing it, and an implementation in memory."""

__all__ = ["batches", "cache", "claims", "held_key", "interface", "keys", "lookup", "naming", "state", "transact"]
