"""/images."""

__all__ = ["image_answers", "image_handlers"]
