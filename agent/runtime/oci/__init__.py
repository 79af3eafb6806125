"""From image, spec and host to the OCI's config.json. Pure."""
