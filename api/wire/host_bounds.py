"""Bounds of messages between hosts and managers: a manager refuses larger ones, and a host does not send them."""

from __future__ import annotations

MOST_MESSAGE = 4 << 20
"""Most bytes of one gRPC message, in both directions."""
PIECE = 1 << 20
"""Bytes after which an assignment set is continued in the next message. A single assignment may be larger."""
MOST_STATUSES = 1000
"""Most statuses in one message."""
STATUSES_PIECE = 1 << 20
"""Bytes of statuses after which the rest is sent in the next message."""
MOST_DESCRIPTION = 1 << 20
"""Most bytes of an encoded node description."""
MOST_IMAGES_BYTES = 768 << 10
"""Most bytes of these that the node's images may take."""
MOST_TEXT = 16 << 10
"""Characters of one text (a status's message, a label's value)."""
MOST_REASON = 4 * MOST_TEXT
"""Characters of all texts in the reason of a status."""
MOST_FACTS = 16
"""Facts of a reason, and reasons of a reason."""
MOST_NAME = 512
"""Characters of a name: an image reference, a label's key, an id."""
MOST_ITEMS = 1024
"""Most items of a list or map without another bound."""
MOST_IMAGES = 20_000
"""Image names in a description."""
MOST_PORTS = 8192
"""Host-mode ports of one task."""
MOST_TROUBLES = 32
"""Most sentences about what does not work on a host."""
MOST_PREFIXES = 128
"""Most address prefixes that a host may announce."""
FUTURE = 3600.0
"""Seconds that a host's clock may be ahead of a manager's."""
