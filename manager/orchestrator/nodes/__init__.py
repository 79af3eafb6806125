"""What nodes do to tasks: liveness, constraints, drain and balance. Pure."""

__all__ = ["node_liveness", "relocation"]
