"""Keeps the desired state in etcd, decides what runs where, and talks to the agents."""

__all__ = ["dispatch", "etcd", "http", "main", "security", "store"]
