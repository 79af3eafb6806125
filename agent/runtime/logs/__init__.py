"""Containers' logs on disk."""
