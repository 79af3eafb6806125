"""The line to a manager."""

__all__ = ["assignment_reader", "grpc_connector", "interface", "known_managers", "session", "status_reporter"]
