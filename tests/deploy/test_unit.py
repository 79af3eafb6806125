"""The systemd unit: systemd accepts it, it limits memory, and none of its settings affects containers."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "deploy" / "argosyd.service"
REACHES_INTO_CONTAINERS = re.compile(
    r"^(NoNewPrivileges|SystemCall\w*|Restrict\w*|LockPersonality|MemoryDenyWriteExecute|UMask|Protect\w*|Private\w*"
    r"|ReadOnlyPaths|ReadWritePaths|InaccessiblePaths|MountFlags|RootDirectory|User|DynamicUser)=",
    re.MULTILINE,
)


def setting(name: str) -> str:
    found = re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)
    return str(found[-1]) if found else ""


def test_the_daemon_is_limited_and_processes_that_outlive_it_are_not_killed() -> None:
    assert re.fullmatch(r"[0-9]+[%MG]", setting("MemoryMax"))
    assert (setting("KillMode"), setting("OOMPolicy"), setting("Delegate")) == ("process", "continue", "yes")


def test_no_setting_is_inherited_by_containers_or_hides_their_mounts() -> None:
    assert REACHES_INTO_CONTAINERS.findall(UNIT.read_text()) == []


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze on this machine")
    unit = tmp_path / "argosyd.service"
    text = UNIT.read_text().replace("/opt/argosy/.venv/bin/argosyd", "/bin/true")
    unit.write_text(re.sub(r"^(After|Wants|Documentation)=.*\n", "", text, flags=re.MULTILINE))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    about = [line for line in done.stderr.splitlines() if "argosyd" in line]
    assert (done.returncode, about) == (0, []), done.stderr
