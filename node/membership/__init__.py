"""This host's place in a cluster, on disk and running."""

__all__ = ["certificate_renewal", "factory", "identity", "membership", "new_cluster"]
