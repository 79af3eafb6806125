"""/swarm and /nodes, and the managers' own port."""
