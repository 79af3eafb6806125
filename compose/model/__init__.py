"""The typed project, the resulting stack, and the state that phases pass on."""

__all__ = ["deploy_model", "load_state", "project", "service_graph", "service_networks", "stack"]
