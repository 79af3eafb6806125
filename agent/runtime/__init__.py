"""Containers by conmon and an OCI runtime, images by skopeo."""

__all__ = [
    "bundle",
    "containers",
    "execs",
    "images",
    "interface",
    "logs",
    "oci",
    "oci_runtime",
    "runtime_events",
    "volumes",
]
