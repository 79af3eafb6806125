"""The OCI runtime's program, crun or runc, as a command."""

from __future__ import annotations

import os
from pathlib import Path

from agent.runtime.interface import RuntimeFailure
from kit import process

PATIENCE = 60.0
"""Seconds that a command of it may take."""


class OciCommand:
    """Runs the program at `binary` with its own state below `state`."""

    def __init__(self, binary: str, state: Path) -> None:
        self.binary = binary
        self.name = os.path.basename(binary)
        """crun or runc."""
        self.state = state

    @property
    def is_crun(self) -> bool:
        """Whether it is crun, which some things are faster with."""
        return self.name == "crun"

    @property
    def words(self) -> tuple[str, ...]:
        """The beginning of its command line."""
        return self.binary, "--root", str(self.state)

    async def run(self, *arguments: str) -> process.Result:
        """Run it. Raises RuntimeFailure when it does not end in time."""
        try:
            return await process.run(*self.words, *arguments, timeout=PATIENCE)
        except TimeoutError:
            raise RuntimeFailure(f"{self.name} {arguments[0]} did not end within {PATIENCE:g} s") from None

    def knows(self, id: str) -> bool:
        """Whether it has a container, of whatever state."""
        return (self.state / id).exists()

    def start_gate(self, id: str) -> Path:
        """The pipe that a created container waits at (crun)."""
        return self.state / id / "exec.fifo"

    async def delete(self, id: str) -> None:
        """Have it forget a container; what still runs in it is killed. Raises RuntimeFailure."""
        await self.run("delete", "--force", id)
