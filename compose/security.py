"""Small languages inside strings: `security_opt`, `platform`, `restart`."""

from __future__ import annotations

import re

from api.specs import Platform, Privileges, RestartPolicy, SecurityProfile, SELinuxContext

_RESTART = re.compile(r"on-failure(?::(\d+))?$")


class BadOption(Exception):
    """The string is not of its language, or asks for what there is not; says why."""


def parse_restart(text: str) -> RestartPolicy | None:
    """`no`, `always`, `unless-stopped`, `on-failure[:N]`; None for "" . Raises BadOption."""
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
    """`os/architecture[/variant]`. Raises BadOption."""
    parts = text.split("/")
    if len(parts) not in (2, 3) or parts[0] != "linux":
        raise BadOption(f"must be linux/ and an architecture, such as linux/amd64, not {text!r}")
    return Platform(os=parts[0], architecture=parts[1])


def parse_option(text: str) -> Privileges:
    """One `security_opt`. Raises BadOption."""
    name, _, value = text.replace("=", ":", 1).partition(":")
    if name == "no-new-privileges" and value in ("", "true", "false"):
        return Privileges(no_new_privileges=value != "false")
    if name == "seccomp" and value == "unconfined":
        return Privileges(seccomp=SecurityProfile(mode="unconfined"))
    if name == "apparmor" and value == "unconfined":
        return Privileges(app_armor=SecurityProfile(mode="disabled"))
    if name == "label" and value == "disable":
        return Privileges(se_linux_context=SELinuxContext(disable=True))
    known = "no-new-privileges, seccomp:unconfined, apparmor:unconfined, label:disable"
    raise BadOption(f"{text!r} is not supported; supported are {known}")


def parse_options(texts: list[str]) -> Privileges | None:
    """All of a service's; None when there are none. Raises BadOption."""
    parsed = [parse_option(text) for text in texts]
    if not parsed:
        return None
    return Privileges(
        seccomp=next((p.seccomp for p in parsed if p.seccomp), None),
        app_armor=next((p.app_armor for p in parsed if p.app_armor), None),
        no_new_privileges=any(p.no_new_privileges for p in parsed),
        se_linux_context=next((p.se_linux_context for p in parsed if p.se_linux_context), None),
    )
