"""One rule per attribute of the Compose Specification."""

__all__ = ["rule", "schema"]
