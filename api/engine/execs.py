"""Execs, commands run in running containers: the bodies of POST /containers/{id}/exec and of the /exec paths."""

from __future__ import annotations

from msgspec import field

from api.engine.common import FullAnswer, Request


class ExecCreateRequest(Request, frozen=True):
    """POST /containers/{id}/exec."""

    user: str = ""
    privileged: bool = False
    tty: bool = field(name="Tty", default=False)
    console_size: list[int] | None = None
    """Height and width."""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach: bool = False
    detach_keys: str = ""
    env: list[str] | None = None
    working_dir: str = ""
    cmd: list[str] | None = None


class ExecStartRequest(Request, frozen=True):
    """POST /exec/{id}/start."""

    detach: bool = False
    tty: bool = field(name="Tty", default=False)
    console_size: list[int] | None = None
    """Height and width."""


class ExecCreatedAnswer(FullAnswer, frozen=True):
    """What POST /containers/{id}/exec answers."""

    id: str = field(name="Id")


class ProcessConfig(FullAnswer, frozen=True, rename="lower"):
    """The command of an exec."""

    tty: bool = False
    entrypoint: str = ""
    arguments: list[str] = []
    privileged: bool = False
    user: str = ""


class ExecAnswer(FullAnswer, frozen=True):
    """GET /exec/{id}/json."""

    id: str
    running: bool = False
    exit_code: int | None = None
    """Null while it runs."""
    process_config: ProcessConfig = ProcessConfig()
    open_stdin: bool = False
    open_stderr: bool = False
    open_stdout: bool = False
    can_remove: bool = False
    container_id: str = ""
    detach_keys: str = ""
    pid: int = field(name="Pid", default=0)
