"""Free-form maps of a spec (options of log drivers and volumes, sysctls): which keys there are, and what they may say.

Docker leaves most of it to the daemon of the host, where it fails a task again and again; here it is refused when the
spec comes in, by name. Rules: moby daemon/logger/{jsonfilelog,local}, volume/local, opencontainers/runc
libcontainer/configs/validate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from kit.sizes import parse_size

Problems = Iterator[str]
Check = Callable[[str], str]
"""What is wrong with a value; "" for nothing."""

_SYSCTL = re.compile(r"[a-zA-Z0-9_-]+([./][a-zA-Z0-9_:*-]+)+")
_IPC_SYSCTLS = frozenset(
    ["kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
     "kernel.shm_rmid_forced"]
)  # fmt: skip
_UTS_SYSCTLS = frozenset(["kernel.domainname", "kernel.hostname"])


def _size(text: str) -> str:
    try:
        return "" if parse_size(text) > 0 else f"{text!r} must be more than 0"
    except ValueError as error:
        return str(error)


def _count(text: str) -> str:
    fits = text.isascii() and text.isdecimal() and len(text) <= 6 and int(text) >= 1
    return "" if fits else f"{text!r} is not a whole number of at least 1"


def _switch(text: str) -> str:
    return "" if text.lower() in ("true", "false", "1", "0", "t", "f") else f"{text!r} is neither true nor false"


def _mode(text: str) -> str:
    return "" if text in ("", "blocking", "non-blocking") else f"{text!r} is none of blocking, non-blocking"


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error:
        return f"{text!r} is not a regular expression"
    return ""


def _any(text: str) -> str:
    return ""


_LOG_FILES: dict[str, Check] = {
    "max-size": _size, "max-file": _count, "compress": _switch, "mode": _mode, "max-buffer-size": _size,
}  # fmt: skip
LOG_OPTIONS: dict[str, dict[str, Check]] = {
    "": _LOG_FILES,
    "local": _LOG_FILES,
    "json-file": {
        **_LOG_FILES, "labels": _any, "labels-regex": _pattern, "env": _any, "env-regex": _pattern, "tag": _any,
    },
}  # fmt: skip
"""By log driver: its options. max-size and max-file have an effect; the others have none here and do no harm: a
container is never held up by its log, and Argosy's log format has no place for labels, env and tag."""
VOLUME_OPTIONS: dict[str, Check] = {"type": _any, "device": _any, "o": _any, "size": _size}
"""Of the local driver."""


def log_option_problems(path: str, driver: str, options: Mapping[str, str]) -> Problems:
    """What is wrong with a log driver's options. Drivers that are not known here are refused elsewhere."""
    if driver == "none" or driver not in LOG_OPTIONS:
        return
    name = driver or "json-file"
    known = LOG_OPTIONS[name]
    yield from _of_map(path, options, known, f"log driver {name} has no such option; it has {', '.join(sorted(known))}")


def volume_option_problems(path: str, options: Mapping[str, str]) -> Problems:
    """What is wrong with the options of a local volume."""
    unknown = f"a local volume has no such option; it has {', '.join(sorted(VOLUME_OPTIONS))}"
    yield from _of_map(path, options, VOLUME_OPTIONS, unknown)
    needed = [name for name in ("type", "device") if not options.get(name)]
    if needed and (set(options) & {"type", "device", "o"}):
        yield f"{path}.{needed[0]}: is needed beside {', '.join(sorted(set(options) - {'size'}))}"
    if any("\0" in value or "\n" in value for value in options.values()):
        yield f"{path}: an option holds a line break or a NUL"


def _of_map(path: str, options: Mapping[str, str], known: Mapping[str, Check], unknown: str) -> Problems:
    for key, value in options.items():
        if key not in known:
            yield f"{path}.{key}: {unknown}"
        elif problem := known[key](value):
            yield f"{path}.{key}: {problem}"


def sysctl_problems(path: str, sysctls: Mapping[str, str], *, host_network: bool, host_ipc: bool) -> Problems:
    """Kernel settings that a container cannot have for itself: they are the host's, for all."""
    for key, value in sysctls.items():
        name = key.replace("/", ".")
        if not _SYSCTL.fullmatch(key) or ".." in name:
            yield f"{path}.{key}: {key!r} is no name of a kernel setting"
        elif name.startswith("net."):
            if host_network:
                yield f"{path}.{key}: is the host's own on the host's network; set it on the host"
        elif name in _IPC_SYSCTLS or name.startswith("fs.mqueue."):
            if host_ipc:
                yield f"{path}.{key}: is the host's own with IpcMode host; set it on the host"
        elif name not in _UTS_SYSCTLS:
            yield f"{path}.{key}: is one for the whole host, not for a container; set it on the host"
        if "\n" in value or "\0" in value:
            yield f"{path}.{key}: its value holds a line break or a NUL"


ULIMITS = frozenset(
    ["as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
     "rttime", "sigpending", "stack"]
)  # fmt: skip


def line_problems(path: str, texts: Mapping[str, str]) -> Problems:
    """Texts that become a part of a line in a file of the container: by their path, what they may not hold."""
    for where, text in texts.items():
        if any(mark in text for mark in "\n\r\0"):
            yield f"{path}{where}: {text!r} holds a line break or a NUL"
