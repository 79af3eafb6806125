"""What an image's tag means, and what a registry says of it."""

__all__ = ["image_tags", "registry"]
