"""Makes a container's directory: root filesystem, mounts, files, devices."""

__all__ = ["bundle_builder", "cdi"]
