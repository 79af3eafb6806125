"""Binds to paths of the machine where a stack is deployed: warnings, and shipping them as configs."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.deploy.host_binds import BindSource, bind_warnings, read_path, ship_binds
from compose.load import load
from compose.model.stack import Stack

OWN = ("/project", "/home/u")
DISK = {
    "/project/nginx.conf": BindSource(files={"": (b"conf", 0o644)}),
    "/project/conf.d": BindSource(is_directory=True, files={"a.conf": (b"a", 0o600), "sub/b.conf": (b"b", 0o644)}),
    "/project/data": BindSource(is_directory=True),
    "/project/code": BindSource(is_directory=True, files={"x.py": (b"x", 0o644)}),
}
FILE = """
services:
  web:
    image: nginx
    volumes:
      - ./nginx.conf:/etc/nginx/nginx.conf:ro
      - ./conf.d:/etc/nginx/conf.d:ro
      - /srv/shared:/srv:ro
  db: {image: redis, volumes: ["./data:/data"]}
  app.1: {image: python, volumes: ["./code:/code"], deploy: {placement: {constraints: [node.role == worker]}}}
  gone: {image: x, volumes: ["./nowhere:/x", {type: bind, source: ./nothing, target: /y}]}
  ui: {image: portainer, volumes: ["/var/run/docker.sock:/var/run/docker.sock:ro"]}
  plain: {image: x, volumes: ["named:/n"]}
volumes: {named: {}}
"""


def stack(text: str = FILE) -> Stack:
    return load(["-"], {}, "shop", "/project", {"-": text.encode()}.get, current="/project").stack


def test_each_bind_that_will_not_do_elsewhere_gets_a_line() -> None:
    said = list(bind_warnings(stack(), OWN, DISK.get))

    assert [line.split(":")[0] for line in said] == [
        "shop_web binds /project/nginx.conf of this machine",
        "shop_web binds /project/conf.d of this machine",
        "shop_db binds /project/data of this machine",
        "shop_app-1 binds /project/code of this machine",
        "shop_gone binds /project/nowhere, which does not exist; its tasks will be rejected",
        "shop_gone binds /project/nothing, which does not exist; its tasks will be rejected",
        "shop_ui binds /var/run/docker.sock",
    ]


def test_read_only_files_go_along_and_the_rest_keeps_its_service_here() -> None:
    made, told = ship_binds(stack(), OWN, DISK.get, "n1")
    web, db, app, gone, ui, plain = made.services

    container = web.spec.task_template.container_spec
    assert [mount.source for mount in container.mounts] == ["/srv/shared"]
    targets = {use.file.name: (use.config_name, use.file.mode) for use in container.configs if use.file}
    assert {name: mode for name, (_, mode) in targets.items()} == {
        "/etc/nginx/nginx.conf": 0o644, "/etc/nginx/conf.d/a.conf": 0o600, "/etc/nginx/conf.d/sub/b.conf": 0o644,
    }  # fmt: skip
    contents = {file.name: file.data for file in made.configs}
    assert {contents[name] for name, _ in targets.values()} == {b"conf", b"a", b"b"}
    assert web.spec.task_template.placement is None
    for service in (db, app, gone):
        placement = service.spec.task_template.placement
        assert placement
        assert placement.constraints[-1] == "node.id == n1"
    for service in (ui, plain):
        assert service.spec.task_template.placement is None
    assert [line.split(":")[0] for line in told] == ["shop_web", "shop_web", "shop_db", "shop_app-1", "shop_gone"]


def test_other_content_is_another_config_at_the_same_place() -> None:
    one, _ = ship_binds(stack(), OWN, DISK.get, "n1")
    disk = DISK | {"/project/nginx.conf": BindSource(files={"": (b"other", 0o644)})}
    other, _ = ship_binds(stack(), OWN, disk.get, "n1")

    changed = {file.name for file in one.configs} ^ {file.name for file in other.configs}
    assert len(changed) == 2
    assert len({name.rpartition("-")[0] for name in changed}) == 1


def test_far_from_the_cluster_nothing_can_stay_and_that_is_said() -> None:
    made, told = ship_binds(stack(), OWN, DISK.get, "")

    assert made.services[1].spec.task_template.placement is None
    assert "no host of the cluster" in told[2]


def test_nothing_of_the_projects_directory_itself_is_taken_for_it(tmp_path: Path) -> None:
    text = "services: {web: {image: x, volumes: ['/projects/x:/x:ro', '/etc/hosts:/h:ro']}}"

    assert list(bind_warnings(stack(text), OWN, DISK.get)) == []


@pytest.mark.parametrize(("size", "fits"), [(1, True), (1000 * 1024 - 1, True), (1000 * 1024, False), (0, False)])
def test_what_is_on_the_disk(tmp_path: Path, size: int, fits: bool) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/file").write_bytes(b"x" * size)
    (tmp_path / "d/file").chmod(0o640)

    found, folder = read_path(str(tmp_path / "d/file")), read_path(str(tmp_path / "d"))

    assert read_path(str(tmp_path / "none")) is None
    assert found == BindSource(files={"": (b"x" * size, 0o640)} if fits else None)
    assert folder == BindSource(True, {"file": (b"x" * size, 0o640)} if fits else None)
