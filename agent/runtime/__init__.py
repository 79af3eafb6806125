"""Containers by conmon and an OCI runtime, images by skopeo."""
