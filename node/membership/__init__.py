"""This host's place in a cluster, on disk and running."""

__all__ = ["certificate_renewal", "factory", "identity", "membership", "swarm_requests"]
