"""From image, spec and host to the OCI's config.json. Pure."""

__all__ = [
    "container_defaults",
    "container_user",
    "oci_config",
    "oci_defaults",
    "resource_limits",
    "seccomp",
    "syscalls",
]
