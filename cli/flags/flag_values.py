"""Parsers of flag values: durations, sizes, ports, mounts, networks. All raise ValueError with a sentence."""

from __future__ import annotations

import math
import os
import shlex
from typing import Any

from api.service import service_spec
from api.service.container import MOUNT_TYPES, BindOptions, Driver, Mount, TmpfsOptions, Ulimit, VolumeOptions
from api.service.placement import Preference, SpreadOver
from api.service.ports import PortConfig
from api.service.resources import DiscreteResource, GenericResource
from compose.read import port_syntax, value_kinds

NANO = 1_000_000_000
_YES = ("", "1", "t", "true", "yes")
_NO = ("0", "f", "false", "no")


def duration(text: str) -> int:
    """ "1m30s" to nanoseconds."""
    try:
        return value_kinds.duration(text)
    except value_kinds.KindMismatch:
        raise ValueError(f'{text!r} is not a duration such as "1m30s"') from None


def seconds(text: str) -> float:
    """ "1m30s", or plain seconds ("90", "0.5"), to seconds."""
    try:
        found = float(text)
    except ValueError:
        found = duration(text) / NANO
    if not math.isfinite(found) or found < 0:
        raise ValueError(f'{text!r} is not a duration such as "1m30s"')
    return found


def size(text: str) -> int:
    """ "512m" to bytes."""
    try:
        return value_kinds.size(text)
    except value_kinds.KindMismatch:
        raise ValueError(f'{text!r} is not a size such as "512m"') from None


def cpus(text: str) -> int:
    """ "1.5" to nano-CPUs."""
    try:
        return round(float(text) * NANO)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a number of CPUs") from None


def words(text: str) -> list[str]:
    """The words as a shell splits them."""
    try:
        return shlex.split(text)
    except ValueError:
        why = "a quote is not closed, or it ends in a backslash"
        raise ValueError(f"{text!r} cannot be split into words: {why}") from None


def text(text: str) -> list[str]:
    """The text itself; it must not be empty."""
    if not text.strip():
        raise ValueError("is empty")
    return [text]


def assignment(text: str) -> list[tuple[str, str]]:
    """KEY=VALUE; a bare KEY has an empty value."""
    name, _, value = text.partition("=")
    if not name:
        raise ValueError(f"{text!r} is not of the form KEY=VALUE")
    return [(name, value)]


def environment(text: str) -> list[str]:
    """KEY=VALUE; a bare KEY takes the value of our own environment, and is left out if that has none."""
    name, equals, _ = text.partition("=")
    if not name:
        raise ValueError(f"{text!r} is not of the form KEY=VALUE")
    if equals:
        return [text]
    return [f"{name}={os.environ[name]}"] if name in os.environ else []


def capability(text: str) -> list[str]:
    """The capability with its prefix CAP_."""
    upper = text.upper()
    return [upper if upper == "ALL" or upper.startswith("CAP_") else f"CAP_{upper}"]


def constraint_key(text: str) -> str:
    """A constraint without spaces, to compare it by."""
    return "".join(text.split())


def host(text: str) -> list[str]:
    """ "name:address" to a line of /etc/hosts."""
    name, _, address = text.partition(":")
    if not name or not address:
        raise ValueError(f'{text!r} is not of the form "name:address"')
    return [f"{address} {name}"]


def host_key(line: str) -> str:
    """The name of a line for --host-rm."""
    address, _, name = line.partition(" ")
    return f"{name}:{address}"


def preference(text: str) -> list[Preference]:
    """ "spread=node.labels.zone"."""
    strategy, _, descriptor = text.partition("=")
    if strategy != "spread" or not descriptor:
        raise ValueError(f'{text!r} is not of the form "spread=node.labels.NAME"')
    return [Preference(SpreadOver(descriptor))]


def preference_key(item: Preference) -> str:
    """The name of a preference for --placement-pref-rm."""
    return f"spread={item.spread.spread_descriptor if item.spread else ''}"


def ulimit(text: str) -> list[Ulimit]:
    """ "nofile=1024:2048"."""
    name, _, limits = text.partition("=")
    soft, _, hard = limits.partition(":")
    try:
        return [Ulimit(name, int(soft), int(hard or soft))]
    except ValueError:
        raise ValueError(f'{text!r} is not of the form "NAME=SOFT[:HARD]"') from None


def generic(text: str) -> list[GenericResource]:
    """ "gpu=2"."""
    kind, _, count = text.partition("=")
    if not kind or not count.isdigit():
        raise ValueError(f'{text!r} is not of the form "KIND=NUMBER"')
    return [GenericResource(discrete_resource_spec=DiscreteResource(kind, int(count)))]


def generic_key(item: GenericResource) -> str:
    """The name of a resource for --generic-resource-rm."""
    return item.discrete_resource_spec.kind if item.discrete_resource_spec else ""


_CONDITIONS = ("started", "healthy", "completed")


def dependency(text: str) -> list[service_spec.Dependency]:
    """ "db", "db=healthy", "db=healthy,optional"."""
    name, _, rest = text.partition("=")
    condition, *more = rest.split(",") if rest else ["started"]
    if not name or condition not in _CONDITIONS or [word for word in more if word != "optional"]:
        raise ValueError(f'{text!r} is not of the form "SERVICE[={"|".join(_CONDITIONS)}[,optional]]"')
    return [service_spec.Dependency(name, condition, optional=bool(more))]  # type: ignore[arg-type]  # checked above


def pairs(text: str) -> list[tuple[str, str]]:
    """ "a=b,c" to pairs; the value of a bare name is ""."""
    found = [(name.strip().lower(), value) for name, _, value in (part.partition("=") for part in text.split(","))]
    if not all(name for name, _ in found):
        raise ValueError(f"{text!r} has an empty part")
    return found


def network(text: str) -> list[service_spec.NetworkTarget]:
    """A name, or "name=…,alias=…,driver-opt=k=v"."""
    if "=" not in text:
        return [service_spec.NetworkTarget(target=text)]
    name, aliases, options = "", [], {}
    for key, value in pairs(text):
        if key == "name":
            name = value
        elif key == "alias":
            aliases.append(value)
        elif key == "driver-opt":
            option, _, setting = value.partition("=")
            options[option] = setting
        else:
            raise ValueError(f"{key!r} is not known; known are name, alias and driver-opt")
    if not name:
        raise ValueError(f"{text!r} lacks name=")
    return [service_spec.NetworkTarget(name, aliases, options)]


def publish(text: str) -> list[PortConfig]:
    """ "8080:80/tcp", ranges, or "published=8080,target=80,protocol=tcp,mode=host"."""
    try:
        if "=" in text:
            return [_long_port(text)]
        return [_port(entry) for entry in port_syntax.parse_short(text)]
    except port_syntax.BadPort as error:
        raise ValueError(str(error)) from None


def _port(entry: dict[str, Any]) -> PortConfig:
    return PortConfig(
        protocol=entry["protocol"],
        target_port=entry["target"],
        published_port=int(entry.get("published", 0)),
        host_ip=entry.get("host_ip", ""),
    )


def _long_port(text: str) -> PortConfig:
    found = dict(pairs(text))
    if unknown := found.keys() - {"published", "target", "protocol", "mode"}:
        raise ValueError(f"{min(unknown)!r} is not known; known are published, target, protocol and mode")
    if "target" not in found:
        raise ValueError(f"{text!r} lacks target=")
    protocol, mode = found.get("protocol", "tcp"), found.get("mode", "ingress")
    if protocol not in port_syntax.PROTOCOLS:
        raise ValueError(f"protocol {protocol!r} is not one of tcp, udp, sctp")
    if mode not in ("ingress", "host"):
        raise ValueError(f"mode {mode!r} is neither ingress nor host")
    published = found.get("published", "0")
    return PortConfig(
        protocol=protocol,  # type: ignore[arg-type]
        target_port=port_syntax.parse_range(found["target"])[0],
        published_port=0 if published == "0" else port_syntax.parse_range(published)[0],
        publish_mode=mode,  # type: ignore[arg-type]
    )


def port_key(port: PortConfig) -> str:
    """The name of a port for --publish-rm: the target port, as Docker's."""
    return str(port.target_port)


def mount(text: str) -> list[Mount]:
    """ "type=volume,source=data,target=/data,readonly"."""
    found: dict[str, Any] = {"type": "volume"}
    parts: dict[str, dict[str, Any]] = {"bind_options": {}, "volume_options": {}, "tmpfs_options": {}, "driver": {}}
    for key, value in pairs(text):
        _mount_part(found, parts, key, value)
    if found["type"] not in MOUNT_TYPES:
        raise ValueError(f"type {found['type']!r} is not supported by Argosy; {', '.join(MOUNT_TYPES)} are")
    if not found.get("target"):
        raise ValueError(f"{text!r} lacks target=")
    if found["type"] == "bind" and not found.get("source"):
        raise ValueError(f"{text!r} is a bind mount without source=")
    if driver := parts.pop("driver"):
        parts["volume_options"]["driver_config"] = Driver(driver.get("name", ""), driver.get("options", {}))
    for name in ("bind", "volume", "tmpfs"):
        if parts[f"{name}_options"] and name != found["type"]:
            raise ValueError(f"{text!r} has options of a {name} mount and is of type {found['type']}")
    types = {
        "bind_options": BindOptions,
        "volume_options": VolumeOptions,
        "tmpfs_options": TmpfsOptions,
    }
    made = {name: types[name](**fields) for name, fields in parts.items() if fields}
    return [Mount(**found, **made)]


_MOUNT_NAMES = {
    "type": "type", "source": "source", "src": "source", "target": "target", "dst": "target", "destination": "target",
    "consistency": "consistency",
}  # fmt: skip
_RECURSIVE = {
    "enabled": {},
    "disabled": {"non_recursive": True},
    "writable": {"read_only_non_recursive": True},
    "readonly": {"read_only_force_recursive": True},
}


def _mount_part(found: dict[str, Any], parts: dict[str, dict[str, Any]], key: str, value: str) -> None:
    bind, volume, tmpfs, driver = (parts[k] for k in ("bind_options", "volume_options", "tmpfs_options", "driver"))
    if key in _MOUNT_NAMES:
        found[_MOUNT_NAMES[key]] = value
    elif key in ("readonly", "ro"):
        found["read_only"] = _boolean(key, value)
    elif key == "bind-propagation":
        bind["propagation"] = value
    elif key == "bind-create-src":
        bind["create_mountpoint"] = _boolean(key, value)
    elif key == "bind-recursive":
        if value not in _RECURSIVE:
            raise ValueError(f"bind-recursive {value!r} is not one of {', '.join(_RECURSIVE)}")
        bind.update(_RECURSIVE[value])
    elif key == "volume-nocopy":
        volume["no_copy"] = _boolean(key, value)
    elif key == "volume-subpath":
        volume["subpath"] = value
    elif key == "volume-label":
        volume.setdefault("labels", {}).update(assignment(value))
    elif key == "volume-driver":
        driver["name"] = value
    elif key == "volume-opt":
        driver.setdefault("options", {}).update(assignment(value))
    elif key == "tmpfs-size":
        tmpfs["size_bytes"] = size(value)
    elif key == "tmpfs-mode":
        tmpfs["mode"] = int(value, 8)
    else:
        raise ValueError(f"{key!r} is not an option of a mount")


def _boolean(key: str, text: str) -> bool:
    if text.lower() in _YES:
        return True
    if text.lower() in _NO:
        return False
    raise ValueError(f"{key} {text!r} is neither true nor false")
