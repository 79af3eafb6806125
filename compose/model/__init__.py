"""The project as types, and what goes from phase to phase."""

__all__ = ["deploy_model", "load_state", "project", "service_graph", "service_networks", "stack"]
