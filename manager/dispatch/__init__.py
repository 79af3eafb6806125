"""The agents' sessions on this manager."""

__all__ = ["border", "dispatcher", "manager_announcer"]
