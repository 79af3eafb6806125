"""Labels with a meaning to Argosy and its clients."""

from __future__ import annotations

NAMESPACE = "com.docker.stack.namespace"
"""Label of everything that belongs to a stack; the docker CLI's own, so that both see the same stacks."""
SHORT_NAME = "io.argosy.stack.name"
"""Label of a secret or config: its name in the file, without stack and digest: the same for all its versions."""
DIGEST = "io.argosy.stack.digest"
"""Label of a secret or config: the digest that is part of its name."""


def stack_of(labels: dict[str, str] | None) -> str:
    """The stack that an object with these labels belongs to; "" for none."""
    return (labels or {}).get(NAMESPACE, "")
