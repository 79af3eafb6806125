"""/swarm and /nodes, and the managers' own port."""

__all__ = ["cluster_answers", "join_port", "node_handlers", "swarm_handlers"]
