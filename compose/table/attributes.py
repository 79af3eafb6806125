"""The attribute table: what each attribute of the Compose Specification accepts, and whether it is honoured or refused.

It maps a path to an AttributeRule. `*` stands for any key, `[]` for any item. An attribute that is not in the table is
not accepted; one that is in it is never silently dropped. docs/compose.md is generated from it (reference_page.py), and
a test compares it with the list of the specification's attributes.
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
"""Argosy's own attributes, which other tools ignore as the user's extensions."""
