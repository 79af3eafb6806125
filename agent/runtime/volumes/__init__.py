"""Volumes, mounts, and safe access to paths in untrusted root filesystems."""

__all__ = ["local_volumes", "mount_syscalls", "rootfs_paths"]
