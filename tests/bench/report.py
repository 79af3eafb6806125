"""Results of a benchmark: one JSON document, and a table for people with the other's figure beside ours."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(slots=True)
class Row:
    """One measurement. `figure` and `theirs` are in `unit`; of times the smaller is the better."""

    name: str
    layer: str
    figure: float
    unit: str
    theirs: float | None = None
    """swarmkit's, where there is one of the same scope."""
    better_if_less: bool = False
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """How many times as good as theirs."""
        if not self.theirs or not self.figure:
            return None
        return self.theirs / self.figure if self.better_if_less else self.figure / self.theirs


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def show(rows: Sequence[Row], notes: dict[str, Any]) -> None:
    """The JSON to standard output, the table to standard error."""
    document = {**notes, "rows": [{**asdict(row), "ratio": row.ratio and round(row.ratio, 2)} for row in rows]}
    print(json.dumps(document, indent=1))
    table = Table("workload", "layer", "", "", "swarmkit", "ratio", "details")
    for row in rows:
        table.add_row(
            row.name, row.layer, _number(row.figure), row.unit, "" if row.theirs is None else _number(row.theirs),
            "" if row.ratio is None else f"{row.ratio:.1f}", ", ".join(f"{k} {v}" for k, v in row.details.items()),
        )  # fmt: skip
    Console(file=sys.stderr, width=150).print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
