"""Files in a root that is somebody else's."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from agent.runtime.volumes.rootfs_paths import make_directory, read_small


@pytest.fixture
def jail(tmp_path: Path) -> Path:
    """A root directory with `file` in it, and one outside."""
    (tmp_path / "file").write_text("outside")
    jail = tmp_path / "jail"
    (jail / "etc").mkdir(parents=True)
    (jail / "file").write_text("inside")
    return jail


@pytest.mark.parametrize("target", ["/file", "../../../file", "../file", "/etc/../file", "../etc/again"])
def test_links_lead_to_what_the_root_has(jail: Path, target: str) -> None:
    (jail / "etc/link").symlink_to(target)
    (jail / "etc/again").symlink_to("/file")

    assert read_small(jail, "/etc/link", 100) == "inside"
    assert read_small(jail, "../../file", 100) == "inside"


@pytest.mark.parametrize("path", ["none", "none/deeper", "file/deeper", "etc/away"])
def test_what_is_not_there_is_none(jail: Path, path: str) -> None:
    (jail / "etc/away").symlink_to("/not/here")

    assert read_small(jail, path, 100) is None


def test_what_is_no_file_is_neither_opened_nor_waited_for(jail: Path) -> None:
    os.mkfifo(jail / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(jail / "socket"))
    (jail / "loop").symlink_to("loop")
    for path, words in {"fifo": "a FIFO", "socket": "a socket", "etc": "a directory"}.items():
        with pytest.raises(OSError, match=f"it is {words}, not a file"):
            read_small(jail, path, 100)
    with pytest.raises(OSError, match="Too many levels"):
        read_small(jail, "loop", 100)


def test_links_of_proc_are_not_followed(jail: Path) -> None:
    with pytest.raises(OSError, match="Too many levels"):
        read_small(Path("/"), f"/proc/self/root{jail}/file", 100)


def test_a_large_file_is_refused_and_not_read(jail: Path) -> None:
    with (jail / "file").open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(OSError, match="larger than 100 bytes"):
        read_small(jail, "file", 100)


def test_a_zero_byte_in_a_path_is_an_error(jail: Path) -> None:
    with pytest.raises(OSError, match=re.escape("zero byte")):
        read_small(jail, "fi\0le", 100)


def test_directories_are_made_where_links_say_and_inside(jail: Path) -> None:
    (jail / "away").symlink_to("/srv/data")
    (jail / "up").symlink_to("../../../jail-neighbour")
    (jail / "loop").symlink_to("/loop/x")

    make_directory(jail, "/away/a/b")
    make_directory(jail, "up/a")
    make_directory(jail, "/etc")
    make_directory(jail, "/")

    assert (jail / "srv/data/a/b").is_dir()
    assert (jail / "jail-neighbour/a").is_dir()
    assert not (jail.parent / "jail-neighbour").exists()
    for path in ("/loop/a", "/file/a"):
        with pytest.raises(OSError):
            make_directory(jail, path)
