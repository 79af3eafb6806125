"""Plans a stack's deploy and carries it out."""

__all__ = ["deploy_plan", "deployment", "docker_logins", "host_binds", "image_build", "stack_removal"]
