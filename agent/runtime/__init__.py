"""The runtime: containers by conmon and an OCI runtime, images by skopeo."""

__all__ = [
    "bundle",
    "containers",
    "execs",
    "host_features",
    "images",
    "interface",
    "logs",
    "oci",
    "oci_runtime",
    "runtime_events",
    "volumes",
]
