"""The agents' sessions on this manager."""

__all__ = ["dispatcher", "manager_announcer"]
