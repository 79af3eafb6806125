"""`--secret` and `--config` of services, and the ids behind names.

Either a name, or "source=…,target=…,uid=…,gid=…,mode=0444".
"""

from __future__ import annotations

import msgspec

from api.engine.stored_files import StoredFileAnswer
from api.service.container import ConfigReference, FileTarget, SecretReference
from api.service.service_spec import ServiceSpec
from cli.client import Client
from cli.command_errors import Failed
from cli.flags.flag_values import pairs

_replace = msgspec.structs.replace


def secret(text: str) -> list[SecretReference]:
    """A secret at /run/secrets/TARGET. Raises ValueError."""
    source, file = _reference(text)
    return [SecretReference(_replace(file, name=file.name or source), secret_name=source)]


def config(text: str) -> list[ConfigReference]:
    """A config at /TARGET. Raises ValueError."""
    source, file = _reference(text)
    return [ConfigReference(_replace(file, name=file.name or f"/{source}"), config_name=source)]


def _reference(text: str) -> tuple[str, FileTarget]:
    if "=" not in text and text:
        return text, FileTarget()
    source, file = "", FileTarget()
    for key, value in pairs(text):
        if key in ("source", "src"):
            source = value
        elif key == "target":
            file = _replace(file, name=value)
        elif key in ("uid", "gid"):
            if not value.isdigit():
                raise ValueError(f"{key} {value!r} is not a number")
            file = _replace(file, **{key: value})
        elif key == "mode":
            file = _replace(file, mode=_mode(value))
        else:
            raise ValueError(f"{key!r} is not known; known are source, target, uid, gid and mode")
    if not source:
        raise ValueError(f"{text!r} lacks source=")
    return source, file


def _mode(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise ValueError(f"mode {text!r} is not a file mode such as 0440")
    return mode


def with_file_ids(client: Client, spec: ServiceSpec) -> ServiceSpec:
    """The spec with the ids of the secrets and configs that flags named. Raises Failed for one that does not exist."""
    container = spec.task_template.container_spec
    if all(s.secret_id for s in container.secrets) and all(c.config_id for c in container.configs):
        return spec
    container = _replace(
        container,
        secrets=[s if s.secret_id else _replace(s, secret_id=_id(client, "secret", s.secret_name))
                 for s in container.secrets],
        configs=[c if c.config_id else _replace(c, config_id=_id(client, "config", c.config_name))
                 for c in container.configs],
    )  # fmt: skip
    return _replace(spec, task_template=_replace(spec.task_template, container_spec=container))


def _id(client: Client, kind: str, name: str) -> str:
    found = client.get(f"/{kind}s", list[StoredFileAnswer], filters={"name": [name]})
    for file in found:  # the filter takes beginnings of names too
        if file.spec.name == name:
            return file.id
    raise Failed(f"there is no {kind} {name!r}; make it with `argosy {kind} create {name} FILE`")
