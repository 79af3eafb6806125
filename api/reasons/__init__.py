"""Reasons: why something is in its state, as a value; the text of each, and its remedy."""
