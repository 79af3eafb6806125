"""Parsers of attribute strings: `security_opt`, `platform`, `restart`, `pull_policy`, `runtime`, sharing modes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

from api.service.container import Privileges, SecurityProfile, SELinuxContext
from api.service.placement import Platform
from api.service.service_spec import RestartPolicy

_RESTART = re.compile(r"on-failure(?::(\d+))?$")


class BadOption(Exception):
    """The string is malformed, or asks for something that is not supported; the text says why."""


def parse_restart(text: str) -> RestartPolicy | None:
    """The policy of `no`, `always`, `unless-stopped` or `on-failure[:N]`; None for "". Raises BadOption."""
    if not text:
        return None
    if text == "no":
        return RestartPolicy(condition="none")
    if text in ("always", "unless-stopped"):
        return RestartPolicy(condition="any")
    if match := _RESTART.match(text):
        return RestartPolicy(condition="on-failure", max_attempts=int(match[1]) if match[1] else None)
    raise BadOption(f'must be "no", always, unless-stopped or on-failure[:ATTEMPTS], not {text!r}')


def parse_platform(text: str) -> Platform:
    """The platform of `os/architecture[/variant]`. Raises BadOption."""
    parts = text.split("/")
    if len(parts) not in (2, 3) or parts[0] != "linux":
        raise BadOption(f"must be linux/ and an architecture, such as linux/amd64, not {text!r}")
    return Platform(os=parts[0], architecture=parts[1])


def parse_option(text: str) -> Privileges:
    """One `security_opt`. A seccomp profile is given by its path, not its content. Raises BadOption."""
    name, _, value = text.replace("=", ":", 1).partition(":")
    if name == "no-new-privileges" and value in ("", "true", "false"):
        return Privileges(no_new_privileges=value != "false")
    if name == "seccomp" and value == "unconfined":
        return Privileges(seccomp=SecurityProfile(mode="unconfined"))
    if name == "apparmor" and value == "unconfined":
        return Privileges(app_armor=SecurityProfile(mode="disabled"))
    if name == "seccomp" and value.startswith("/"):
        return Privileges(seccomp=SecurityProfile(mode="custom", profile=value))
    if name == "apparmor" and value:
        return Privileges(app_armor=SecurityProfile(mode="custom", profile=value))
    if name == "label" and value == "disable":
        return Privileges(se_linux_context=SELinuxContext(disable=True))
    if name == "systempaths" and value == "unconfined":
        return Privileges()  # masked paths are set by compose/translate/host_settings.py
    known = "no-new-privileges, seccomp, apparmor, label:disable, systempaths=unconfined"
    raise BadOption(f"{text!r} is not supported; supported are {known}")


def parse_pull_policy(text: str) -> Literal["", "always", "missing", "never"]:
    """When a host fetches the image. Raises BadOption."""
    if text in ("", "always", "never"):
        return text  # type: ignore[return-value]
    if text in ("missing", "if_not_present", "build"):
        return "missing"
    if text in ("refresh", "daily", "weekly") or text.startswith("every_"):
        raise BadOption(f"{text!r} is refused: an image's tag is resolved when its service is deployed; deploy again")
    raise BadOption(f"must be always, missing, if_not_present, never or build, not {text!r}")


def parse_sharing(allowed: tuple[str, ...]) -> Callable[[str], str]:
    """A parser of `ipc`, `pid` or `network_mode` that accepts only the `allowed` words. It raises BadOption."""

    def parse(text: str) -> str:
        if text in ("", *allowed):
            return text
        if text.startswith(("service:", "container:")):
            raise BadOption(f"{text!r} is refused: tasks of different services may be on different hosts")
        raise BadOption(f"must be {', '.join(allowed[:-1])} or {allowed[-1]}, not {text!r}".replace("be  or ", "be "))

    return parse


IPC = ("private", "shareable", "host", "none")
PID = ("host",)
NETWORK_MODES = ("host", "none", "bridge", "default")
RUNTIMES = ("runc", "crun")


def parse_runtime(text: str) -> str:
    """The name of an OCI runtime, also by the other names Docker has for it. Raises BadOption."""
    if text in ("", *RUNTIMES):
        return text
    raise BadOption(f"must be {' or '.join(RUNTIMES)}, not {text!r}")


def seccomp_path(text: str) -> str:
    """The path of the seccomp profile in a `security_opt`; "" when there is none."""
    name, _, value = text.replace("=", ":", 1).partition(":")
    return value if name == "seccomp" and value.startswith("/") else ""


def parse_options(texts: list[str], profiles: Mapping[str, str]) -> Privileges | None:
    """All `security_opt` of a service; None for none. `profiles`: seccomp profiles by path. Raises BadOption."""
    parsed = [parse_option(text) for text in texts]
    if not parsed:
        return None
    seccomp = next((p.seccomp for p in parsed if p.seccomp), None)
    if seccomp and seccomp.profile:
        seccomp = SecurityProfile(mode="custom", profile=profiles[seccomp.profile])
    return Privileges(
        seccomp=seccomp,
        app_armor=next((p.app_armor for p in parsed if p.app_armor), None),
        no_new_privileges=any(p.no_new_privileges for p in parsed),
        se_linux_context=next((p.se_linux_context for p in parsed if p.se_linux_context), None),
    )
