"""Builder of the demo's image: Python and Redis from Debian packages, and the three small programs in app/.

It needs only Debian's package archive. Usage: python -m deploy.demo.image TARGET.tar
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from deploy.docker_archive import write_archive
from kit.timing import wall_clock

NAME = "argosy-demo:1"
_APP = Path(__file__).parent / "app"
_PROGRAMS = ("python3", "redis-server")
# Includes libraries, but not packages that are only needed for installation and configuration.
_WANTED = re.compile(r"(lib(?!perl|debconf|text|locale).*|zlib1g|python3.*|redis.*)")
_MERGED = ("bin", "sbin", "lib", "lib64")


def main(target: Path) -> None:
    """Build the image, unless it exists and is newer than its sources."""
    sources = [Path(__file__), *_APP.rglob("*")]
    if target.exists() and target.stat().st_mtime > max(path.stat().st_mtime for path in sources):
        return
    build(target, NAME, _APP)


def build(target: Path, name: str, app: Path) -> None:
    """Write an image with Debian's Python and Redis and the files of `app` in /app."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="argosy-demo-") as scratch:
        debian, own = Path(scratch, "debian"), Path(scratch, "app")
        _unpack(_download(_PROGRAMS, Path(scratch, "debs")), debian)
        shutil.copytree(app, own / "app", ignore=shutil.ignore_patterns("__pycache__"))
        config = {"Env": ["PYTHONUNBUFFERED=1"], "WorkingDir": "/app"}
        write_archive(target, name, [debian, own], config, datetime.fromtimestamp(wall_clock(), UTC))


def _download(programs: tuple[str, ...], debs: Path) -> list[Path]:
    """Download the programs' packages and the libraries they depend on into `debs`."""
    complaint = ""
    for _ in range(2):
        shutil.rmtree(debs, ignore_errors=True)
        debs.mkdir()
        command = ["apt-get", "download", "-q", *_closure(programs)]
        done = subprocess.run(command, cwd=debs, check=False, capture_output=True, text=True)
        if not done.returncode:
            return sorted(debs.glob("*.deb"))
        complaint = f"{' '.join(command)}: {done.stderr.strip()}"
        # A new machine has no package lists, and outdated lists name versions that no longer exist.
        subprocess.run(("apt-get", "update", "-qq"), check=False, capture_output=True)
    raise SystemExit(f"demo image: {complaint}")


def _closure(programs: tuple[str, ...]) -> list[str]:
    """The names of the packages and the libraries they depend on; only `programs` when apt has no lists."""
    quiet = [f"--no-{kind}" for kind in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")]
    command = ["apt-cache", "depends", "--recurse", *quiet, *programs]
    depends: dict[str, list[str]] = {}
    package = ""
    for row in subprocess.run(command, check=False, capture_output=True, text=True).stdout.splitlines():
        if not row.startswith(" "):
            package = row
        elif "epends:" in row:
            depends.setdefault(package, []).append(row.partition("epends:")[2].strip())
    found: set[str] = set()
    waiting = list(programs)
    while waiting:
        if (package := waiting.pop()) not in found:
            found.add(package)
            waiting += [name for name in depends.get(package, []) if _WANTED.fullmatch(name)]
    return sorted(found)


def _unpack(debs: list[Path], root: Path) -> None:
    for name in _MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for deb in debs:
        contents = subprocess.run(("dpkg-deb", "--fsys-tarfile", deb), check=True, capture_output=True).stdout
        command = ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(root)]
        subprocess.run([*command, "--exclude=./usr/share/doc", "--exclude=./usr/share/man"], check=True, input=contents)
    for name in ("tmp", "proc", "sys", "dev", "etc", "data", "root"):
        (root / name).mkdir(exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")


if __name__ == "__main__":
    if platform.machine() != "x86_64":
        raise SystemExit(f"demo image: built for x86_64 only; this machine is {platform.machine()}")
    main(Path(sys.argv[1]))
