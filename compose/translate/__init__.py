"""From the project to the services, networks and files of a stack."""

__all__ = ["cluster_checks", "compose_file", "foreign_braces", "translate"]
