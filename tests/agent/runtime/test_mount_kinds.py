"""Every option of a mount on every kind of file that can be mounted."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.runtime.interface import Image, RuntimeFailure
from agent.runtime.oci_runtime import OciRuntime
from api.service.container import BindOptions, Mount, TmpfsOptions, VolumeOptions
from tests.agent.runtime.hosts import output, plan, run

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
    shell(f"mount -t tmpfs tmpfs {top} && mount --make-shared {top}")
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
        shell(f"umount -R -l {top}")


def shell(command: str) -> None:
    subprocess.run(command, shell=True, check=True, capture_output=True)


@pytest.mark.parametrize("read_only", [True, False], ids=["ro", "rw"])
async def test_each_bind_option_fits_each_kind_of_source(
    runtime: OciRuntime, image: Image, sources: dict[str, Path], read_only: bool
) -> None:
    places = {f"/m{number}/{kind}": kind for number, _ in enumerate(OPTIONS) for kind in KINDS}
    mounts = [
        Mount(
            type="bind", source=str(sources[kind]), target=f"/m{number}/{kind}", read_only=read_only, bind_options=how
        )
        for number, how in enumerate(OPTIONS.values())
        for kind in KINDS
    ]
    script = "\n".join(
        [
            "access() { grep \" $1 \" /proc/self/mountinfo | cut -d' ' -f6 | cut -c1-2; }",
            *(f"test {KINDS[kind]} {path} && echo {path} $(access {path})" for path, kind in places.items()),
            *(f"cat {path}" for path, kind in places.items() if kind in ("file", "link")),
            "echo x >/m0/device && echo x >/m0/file",
        ]
    )

    code, said = await output(runtime, plan(image, "t", "sh", "-c", script, mounts=mounts))

    access = "ro" if read_only else "rw"
    assert said.splitlines() == [*(f"{path} {access}" for path in places), *["bound"] * (2 * len(OPTIONS))]
    assert (code, sources["file"].read_text()) == ((1, "bound\n") if read_only else (0, "x\n"))


@pytest.mark.parametrize(
    ("option", "below"),
    [
        ("as it comes", "ro"),
        ("read-only for certain", "ro"),
        ("read-only at the top only", "rw"),
        ("not recursive", ""),
    ],
)
async def test_what_is_mounted_below_a_read_only_directory(
    runtime: OciRuntime, image: Image, sources: dict[str, Path], option: str, below: str
) -> None:
    inner = sources["directory"] / "inner"
    inner.mkdir()
    shell(f"mount -t tmpfs tmpfs {inner}")
    mount = Mount(
        type="bind", source=str(sources["directory"]), target="/m", read_only=True, bind_options=OPTIONS[option]
    )

    _, said = await output(
        runtime, plan(image, "t", "sh", "-c", "grep ' /m/inner ' /proc/self/mountinfo | cut -d' ' -f6", mounts=[mount])
    )

    assert said[:2] == below


@pytest.mark.parametrize(
    ("propagation", "from_host", "from_container"),
    [("rprivate", False, False), ("rslave", True, False), ("rshared", True, True)],
)
async def test_mounts_made_later_propagate_as_asked(
    runtime: OciRuntime,
    image: Image,
    sources: dict[str, Path],
    propagation: str,
    from_host: bool,
    from_container: bool,
) -> None:
    directory = sources["directory"]
    for name in ("host", "container"):
        (directory / name).mkdir()
    mount = Mount(type="bind", source=str(directory), target="/m", bind_options=BindOptions(propagation=propagation))
    id = await run(runtime, plan(image, "t", "sleep", "60", mounts=[mount], capability_add=["SYS_ADMIN"]))

    shell(f"mount -t tmpfs tmpfs {directory}/host")
    seen = await runtime.exec(id, ["grep", "-c", " /m/host ", "/proc/self/mountinfo"], 30.0)
    made = await runtime.exec(id, ["mount", "-t", "tmpfs", "tmpfs", "/m/container"], 30.0)

    assert (seen.code == 0, made.code) == (from_host, 0)
    assert (f"{directory}/container " in Path("/proc/self/mountinfo").read_text()) is from_container


async def test_the_whole_host_read_only(runtime: OciRuntime, image: Image) -> None:
    """As monitors have it: cAdvisor's own mounts."""
    mounts = [
        Mount(type="bind", source=path, target=f"/rootfs{path}".rstrip("/"), read_only=True)
        for path in ("/", "/run", "/sys", "/dev/null")
    ]
    mounts += [Mount(type="bind", source="/dev", target="/host-dev", read_only=True)]

    code, said = await output(
        runtime, plan(image, "t", "sh", "-c", "test -e /rootfs/etc/passwd; echo $?; >/rootfs/x", mounts=mounts)
    )

    assert (code, said) == (1, "0\n")


def tmpfs(target: str, read_only: bool = False, **options: Any) -> Mount:
    return Mount(type="tmpfs", target=target, read_only=read_only, tmpfs_options=TmpfsOptions(**options))


TOGETHER: list[tuple[Mount, str, str]] = [
    # a mount, what is done in the container, what that says
    (Mount(type="tmpfs", target="/plain"), "stat -c %a /plain", "1777"),
    (tmpfs("/mode", mode=0o750), "stat -c %a /mode", "750"),
    (
        tmpfs("/size", size_bytes=1 << 20),
        "dd if=/dev/zero of=/size/x bs=1M count=2 2>&-; stat -c %s /size/x",
        "1048576",
    ),
    (tmpfs("/exec", options=[["exec"], ["exec"]]), "cp /bin/busybox /exec/echo && /exec/echo ran", "ran"),
    (tmpfs("/noexec"), "cp /bin/busybox /noexec/echo; /noexec/echo ran || echo refused", "refused"),
    (tmpfs("/ro", read_only=True), "touch /ro/x || echo refused", "refused"),
    (Mount(type="volume", source="filled", target="/etc"), "test -e /etc/passwd && echo filled", "filled"),
    (
        Mount(type="volume", source="ro", target="/v", read_only=True, consistency="cached"),
        "touch /v/x || echo refused",
        "refused",
    ),
]


async def test_options_of_tmpfs_and_volumes(runtime: OciRuntime, image: Image) -> None:
    script = "\n".join(line for _, line, _ in TOGETHER)
    bare = Mount(type="volume", source="bare", target="/etc", volume_options=VolumeOptions(no_copy=True))

    _, said = await output(runtime, plan(image, "t", "sh", "-c", script, mounts=[mount for mount, _, _ in TOGETHER]))
    _, copied = await output(runtime, plan(image, "u", "sh", "-c", "test -e /etc/passwd || echo empty", mounts=[bare]))

    assert said.splitlines() == [wanted for _, _, wanted in TOGETHER]
    assert copied == "empty\n"


@pytest.mark.parametrize("read_only", [True, False], ids=["ro", "rw"])
async def test_a_part_of_a_volume_may_be_a_directory_or_a_file(
    runtime: OciRuntime, image: Image, read_only: bool
) -> None:
    volume = Mount(type="volume", source="data", target="/m")
    await output(
        runtime, plan(image, "first", "sh", "-c", "mkdir /m/d && echo a >/m/d/f && echo b >/m/f", mounts=[volume])
    )
    parts = [
        Mount(
            type="volume",
            source="data",
            target=f"/{name}",
            read_only=read_only,
            volume_options=VolumeOptions(subpath=name),
        )
        for name in ("d", "f")
    ]

    code, said = await output(
        runtime, plan(image, "t", "sh", "-c", "cat /d/f /f; echo c >/f && touch /d/x", mounts=parts)
    )

    assert (code, said) == (1 if read_only else 0, "a\nb\n")


@pytest.mark.parametrize("option", [["flavour", "mint"], ["size"], ["exec", "yes"]])
async def test_a_tmpfs_option_that_is_none_is_named(runtime: OciRuntime, image: Image, option: list[str]) -> None:
    mount = Mount(type="tmpfs", target="/m", tmpfs_options=TmpfsOptions(options=[option]))

    with pytest.raises(RuntimeFailure, match=option[0]):
        await runtime.create(plan(image, "t", "true", mounts=[mount]))
