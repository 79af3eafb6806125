"""Makes a container's directory: root filesystem, mounts, files, devices."""
