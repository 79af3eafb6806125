"""A container's monitor outlives the daemon: it is not in the daemon's control group, nor in the container's."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.runtime.oci_runtime import OciRuntime
from tests.agent.runtime.hosts import CGROUP_PARENT, load, plan, run

pytestmark = pytest.mark.root


async def test_monitors_have_a_group_of_their_own_that_goes_with_the_last(runtime: OciRuntime, root: Path) -> None:
    image = await load(runtime, root)
    id = await run(runtime, plan(image, "watched", "sleep", "60"))
    conmon = (root / "data" / "containers" / id / "conmon.pid").read_text()
    assert f"{CGROUP_PARENT}/monitors" in Path(f"/proc/{conmon}/cgroup").read_text()
    await runtime.remove(id)
    assert list(Path("/sys/fs/cgroup").glob(f"*{CGROUP_PARENT}/monitors")) == []
