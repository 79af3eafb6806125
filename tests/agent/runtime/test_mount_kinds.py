"""Every option of a mount on every kind of file that can be mounted."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.runtime.base import Image, RuntimeFailure
from agent.runtime.oci import OciRuntime
from api.specs import BindOptions, Mount, TmpfsOptions, VolumeOptions
from kit import process
from tests.agent.runtime.hosts import output, plan

pytestmark = pytest.mark.root

KINDS = {"directory": "-d", "file": "-f", "socket": "-S", "fifo": "-p", "device": "-c", "link": "-f"}
"""A kind of source, and the shell's test that tells it in the container."""
OPTIONS = {
    "as it comes": BindOptions(),
    "not recursive": BindOptions(non_recursive=True),
    "read-only at the top only": BindOptions(read_only_non_recursive=True),
    "read-only for certain": BindOptions(read_only_force_recursive=True),
    "made if missing": BindOptions(create_mountpoint=True),
    **{word: BindOptions(propagation=word) for word in ("private", "rprivate", "slave", "rslave", "shared", "rshared")},
}


@pytest.fixture
def sources(root: Path) -> Iterator[dict[str, Path]]:
    """One of each kind, on a mount whose propagation is shared."""
    top = root / "sources"
    top.mkdir()
    found = {kind: top / kind for kind in KINDS}
    process_result = os.system(f"mount -t tmpfs tmpfs {top} && mount --make-shared {top}")
    assert process_result == 0
    try:
        found["directory"].mkdir()
        (found["directory"] / "word").write_text("bound\n")
        found["file"].write_text("bound\n")
        os.mkfifo(found["fifo"])
        os.mknod(found["device"], 0o020666, os.makedev(1, 3))
        found["link"].symlink_to(found["file"])
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(found["socket"]))
            yield found
    finally:
        os.system(f"umount -R -l {top}")


def script(sources: dict[str, Path]) -> str:
    """Prints for each kind whether it is what it was, and the mount's own options."""
    lines = [
        f"test {flag} /m/{kind} && echo {kind} $(grep ' /m/{kind} ' /proc/self/mountinfo | cut -d' ' -f6 | cut -c1-2)"
        for kind, flag in KINDS.items()
    ]
    return "\n".join([*lines, "cat /m/file /m/link /m/directory/word", "echo x >/m/device && echo x >/m/file"])


@pytest.mark.parametrize("read_only", [True, False], ids=["ro", "rw"])
@pytest.mark.parametrize("option", OPTIONS)
async def test_each_bind_option_fits_each_kind_of_source(
    runtime: OciRuntime, image: Image, sources: dict[str, Path], option: str, read_only: bool
) -> None:
    mounts = [
        Mount(type="bind", source=str(path), target=f"/m/{kind}", read_only=read_only, bind_options=OPTIONS[option])
        for kind, path in sources.items()
    ]

    code, said = await output(runtime, plan(image, "t", "sh", "-c", script(sources), mounts=mounts))

    access = "ro" if read_only else "rw"
    assert said.splitlines() == [*(f"{kind} {access}" for kind in KINDS), "bound", "bound", "bound"]
    assert (code, sources["file"].read_text()) == ((1, "bound\n") if read_only else (0, "x\n"))
