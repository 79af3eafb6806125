"""The images of this host: fetched, verified, stored, named, given to others."""

__all__ = ["image_config", "image_store", "peer_source"]
