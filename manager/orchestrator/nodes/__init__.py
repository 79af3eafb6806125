"""What nodes do to tasks: liveness, constraints, drain and balance. Pure."""
