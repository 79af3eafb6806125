"""System calls made inside a container: its program is the host's Python, bound in, and prints how each call ended."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.runtime.interface import Image
from agent.runtime.oci_runtime import OciRuntime
from api.service.container import Mount
from tests.agent.runtime.hosts import output, plan, run

PYTHON = "/usr/bin/python3"
PROGRAM = """
import ctypes, errno, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
seccomp = ctypes.CDLL("libseccomp.so.2")
def call(name, *arguments):
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    if name in ("clone", "clone3", "unshare") and (pid := os.fork()):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    values = [ctypes.c_void_p(a) if isinstance(a, int) else ctypes.c_char_p(a.encode()) for a in arguments]
    done = libc.syscall(ctypes.c_long(number), *values)
    code = ctypes.get_errno() if done < 0 else 0
    if name in ("clone", "clone3", "unshare"):
        os._exit(code)
    return code
print(json.dumps([call(*one) for one in json.loads(sys.argv[1])]))
"""


def mounts() -> list[Mount]:
    """What Python needs of the host."""
    paths = [path for path in ("/usr", "/lib", "/lib64") if Path(path).exists()]
    return [Mount(type="bind", source=str(Path(path).resolve()), target=path, read_only=True) for path in paths]


def command(calls: Sequence[Sequence[object]]) -> list[str]:
    """What makes these calls and prints their error numbers."""
    return [PYTHON, "-c", PROGRAM, json.dumps(calls)]


def names(said: str) -> list[str]:
    """The error numbers by name; "" for none."""
    return [errno.errorcode.get(code, str(code)) if code else "" for code in json.loads(said)]


async def made(runtime: OciRuntime, image: Image, calls: Sequence[Sequence[object]], **spec: object) -> list[str]:
    """How each call (name and arguments) ends in a container of that spec: "" or the error's name."""
    code, said = await output(runtime, plan(image, "calls", *command(calls), mounts=mounts(), **spec))
    assert code == 0, said
    await runtime.remove(plan(image, "calls").id)
    return names(said)


async def made_by_exec(runtime: OciRuntime, image: Image, calls: Sequence[Sequence[object]]) -> list[str]:
    """The same from a further command in a running container."""
    id = await run(runtime, plan(image, "calls", "sleep", "60", mounts=mounts()))
    done = await runtime.exec(id, command(calls), 30.0)
    assert done.code == 0, done.text
    return names(done.text.decode())


def usable() -> bool:
    """Whether the host has such a Python."""
    return sys.platform == "linux" and Path(PYTHON).exists()
