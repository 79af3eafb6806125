"""Images: what their tags mean, by the managers and by registries."""

__all__ = ["image_tags", "registry"]
