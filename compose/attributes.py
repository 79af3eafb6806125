"""Every attribute of the Compose Specification: what it takes, and whether it is honoured or refused.

One table, path → Rule. `*` stands for any key, `[]` for any item. Nothing that is not in here is accepted, and
nothing that is in here is dropped. docs/compose.md is made from it (compose/manual.py), and a test compares it with
the list of the specification's attributes.
"""

from __future__ import annotations

from compose import attributes_container, attributes_deploy, attributes_top
from compose.rules import Table, takes, under

ATTRIBUTES: Table = {
    **attributes_top.TABLE,
    **under("services.*", attributes_container.CONTAINER),
    "services.*.deploy": takes("map|null"),
    **under("services.*.deploy", attributes_deploy.DEPLOY),
    **under("services.*", attributes_deploy.BUILD),
    **under("services.*", attributes_deploy.DEVELOP),
}

OURS: Table = under("services.*", attributes_deploy.SCHEDULE)
"""Argosy's own, which no other tool minds: it takes them for the user's extensions."""
