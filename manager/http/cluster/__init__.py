"""/swarm and /nodes, and the managers' HTTPS port (2377)."""

__all__ = ["cluster_answers", "join_port", "node_handlers", "swarm_handlers"]
