"""OCI bundles: a container's directory with root filesystem, mounts, files and devices."""

__all__ = ["bundle_builder", "cdi"]
