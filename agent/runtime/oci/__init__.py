"""The OCI's config.json, made from image, spec and host. Pure."""

__all__ = [
    "container_defaults",
    "container_user",
    "oci_config",
    "oci_defaults",
    "resource_limits",
    "seccomp",
    "syscalls",
]
