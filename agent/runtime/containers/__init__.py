"""Containers while they run: conmon, records, signals, ends, usage."""

__all__ = [
    "cgroup_usage",
    "conmon",
    "container_record",
    "container_store",
    "copy_helper",
    "oci_command",
    "recovery",
    "signal_delivery",
    "signals",
    "socket_binds",
    "termination",
]
