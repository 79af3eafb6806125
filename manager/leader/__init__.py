"""One term of leadership: who leads, and the loop around the planners."""

__all__ = ["election", "key_renewal", "leader", "planners"]
