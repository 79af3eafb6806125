"""How much hosts and managers say to one another: a manager refuses what is more, a host says no more than this."""

from __future__ import annotations

MOST_MESSAGE = 4 << 20
"""Bytes of one gRPC message, both ways."""
PIECE = 1 << 20
"""Bytes of resources after which an assignment set goes on in the next message. One resource may be larger."""
MOST_STATUSES = 1000
"""Statuses in one message."""
STATUSES_PIECE = 1 << 20
"""Bytes of statuses after which the rest goes into the next message."""
MOST_DESCRIPTION = 1 << 20
"""Bytes of a node's description, encoded."""
MOST_IMAGES_BYTES = 768 << 10
"""Bytes of those that a node's images may take."""
MOST_TEXT = 16 << 10
"""Characters of one text (a status's message, a label's value)."""
MOST_REASON = 4 * MOST_TEXT
"""Characters of all texts in the reason of a status."""
MOST_FACTS = 16
"""Facts of a reason, and reasons of a reason."""
MOST_NAME = 512
"""Characters of a name: an image reference, a label's key, an id."""
MOST_ITEMS = 1024
"""Items of a list or map for which nothing else is said."""
MOST_IMAGES = 20_000
"""Image names in a description."""
MOST_PORTS = 8192
"""Host-mode ports of one task."""
MOST_TROUBLES = 32
"""Sentences about what does not work on a host."""
MOST_PREFIXES = 128
"""Prefixes that a host says are its own."""
FUTURE = 3600.0
"""Seconds that a host's clock may be ahead of a manager's."""
