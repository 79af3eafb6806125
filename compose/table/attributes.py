"""Every attribute of the Compose Specification: what it takes, and whether it is honoured or refused.

One table, path → AttributeRule. `*` stands for any key, `[]` for any item. Nothing that is not in here is accepted, and
nothing that is in here is dropped. docs/compose.md is made from it (reference_page.py), and a test compares it with
the list of the specification's attributes.
"""

from __future__ import annotations

from compose.table import container_attributes, deploy_attributes, top_level_attributes
from compose.table.rule import Table, takes, under

ATTRIBUTES: Table = {
    **top_level_attributes.TABLE,
    **under("services.*", container_attributes.CONTAINER),
    "services.*.deploy": takes("map|null"),
    **under("services.*.deploy", deploy_attributes.DEPLOY),
    **under("services.*", deploy_attributes.BUILD),
    **under("services.*", deploy_attributes.DEVELOP),
}

OURS: Table = under("services.*", deploy_attributes.SCHEDULE)
"""Argosy's own, which no other tool minds: it takes them for the user's extensions."""
