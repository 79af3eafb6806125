"""One term of leadership: who leads, and the loop around the planners."""
