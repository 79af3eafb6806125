"""The images of this host: fetching, verification, storage, names, export."""

__all__ = ["image_config", "image_store", "peer_source"]
