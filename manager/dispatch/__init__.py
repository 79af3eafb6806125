"""Dispatcher: the sessions of agents on this manager."""

__all__ = ["dispatcher", "manager_announcer"]
