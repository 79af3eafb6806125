"""On a hybrid host the tests run on runc; crun gets its turn in a mount namespace without the second hierarchy."""

from __future__ import annotations

import sys

import pytest

from agent.runtime.host_features import CgroupMode, own_cgroup_mode
from kit import process

WHAT_DIFFERS = (
    "exit_code or sees or seccomp or limits or memory or not_exist or stop or exec or restarted or many or terminal"
)
BESIDES = "test_privacy test_seccomp_real test_mount_kinds execs/test_exec_cgroups test_socket_binds"
"""Files of tests that are for both: what a runtime must keep to."""
SCRIPT = """
umount -l /sys/fs/cgroup/unified && "$0" -m pytest -q tests/agent/runtime/test_oci_runtime.py -k "$1" &&
exec "$0" -m pytest -q $(printf 'tests/agent/runtime/%s.py ' $2)
"""


@pytest.mark.root
@pytest.mark.skipif(own_cgroup_mode() is not CgroupMode.HYBRID, reason="crun runs the tests already")
async def test_containers_run_on_crun_too() -> None:
    result = await process.run("unshare", "-m", "sh", "-c", SCRIPT, sys.executable, WHAT_DIFFERS, BESIDES, timeout=300)

    assert result.ok, result.stdout.decode()[-4000:]
