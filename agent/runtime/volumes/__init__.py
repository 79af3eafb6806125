"""Volumes, mounts, and paths inside root filesystems that are not trusted."""

__all__ = ["local_volumes", "mount_syscalls", "rootfs_paths"]
