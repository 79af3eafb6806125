"""Execs: further commands in running containers."""

__all__ = ["bounded_exec", "exec_cgroups", "execs"]
