"""Volumes, mounts, and paths inside root filesystems that are not trusted."""
