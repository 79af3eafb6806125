"""Containers while they run: conmon, records, signals, usage."""

__all__ = [
    "cgroup_usage",
    "conmon",
    "container_record",
    "copy_helper",
    "recovery",
    "signal_delivery",
    "signals",
    "socket_binds",
]
