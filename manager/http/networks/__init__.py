"""/networks."""

__all__ = ["ingress_network", "network_answers", "network_handlers", "predefined_networks"]
