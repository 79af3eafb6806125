"""The demo: a stack of three tiers, its image, and a client that visits it."""
