"""Carries a deploy plan (compose/deploy) out, removes stacks, builds images."""

__all__ = ["deployment", "docker_logins", "host_binds", "image_build", "stack_removal"]
