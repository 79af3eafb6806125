"""Translation of the project to the services, networks and files of a stack."""

__all__ = ["cluster_checks", "compose_file", "literal_braces", "translate"]
