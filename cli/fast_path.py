"""The fast path: `--help`, `service ls` and `node ls`, answered before click is loaded.

Loading click and the schema takes longer than asking the daemon. Only the plainest form of these commands is answered
here, and only when all goes well. Anything else (other options, a narrow terminal, TCP, an error) is left to
cli/root_command.py, which prints the same more slowly. Tests compare the two.
"""

from __future__ import annotations

import os
import sys

from cli.command_table import ABOUT, COMMANDS, DEFAULT_HOST, host_of

TYPE_CHECKING = False
if TYPE_CHECKING:  # loading typing takes a tenth of the whole time
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Get = Callable[[str], Any]
    Rows = tuple[Mapping[str, str], Sequence[Mapping[str, str]]]
    """Columns (field → heading), and the rows."""

WIDTH = 80
"""Columns of the help text, as click breaks it on terminals that are at least as wide."""
_HELP = f"""\
Usage: argosy [OPTIONS] COMMAND [ARGS]...

  {ABOUT}

Options:
  -H, --host URL  Where argosyd listens: unix://PATH or tcp://HOST:PORT
                  [$ARGOSY_HOST, $DOCKER_HOST, {DEFAULT_HOST}]
  --version       Show the version.
  -h, --help      Show this message and exit.

Commands:
"""


class Unanswered(Exception):
    """The fast path has no answer; cli/root_command.py gives it."""


def answer(arguments: Sequence[str]) -> bool:
    """Print the answer. Returns False for a command that the fast path does not answer."""
    if list(arguments) in (["--help"], ["-h"]) and _is_wide():
        sys.stdout.write(help_text())
        return True
    given = None
    if len(arguments) > 2 and arguments[0] in ("-H", "--host"):
        given, arguments = arguments[1], arguments[2:]
    ask = _COMMANDS.get(tuple(arguments))
    host = host_of(given)
    if ask is None or not host.startswith("unix:///"):
        return False
    try:
        columns, rows = ask(lambda path: _get(host.removeprefix("unix://"), path))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, Unanswered):
        return False
    from cli.show.formatting import table

    cells = [[row[name] for name in columns] for row in rows]
    sys.stdout.write("".join(f"{line}\n" for line in table(list(columns.values()), cells)))
    return True


def help_text() -> str:
    """What `argosy --help` prints on a terminal of WIDTH columns or more."""
    width = max(map(len, COMMANDS))
    return _HELP + "".join(f"  {name:<{width}}  {entry[1]}\n" for name, entry in COMMANDS.items())


def _is_wide() -> bool:
    try:
        return int(os.environ.get("COLUMNS") or os.get_terminal_size().columns) >= WIDTH
    except (OSError, ValueError):
        return True  # no terminal: click assumes 80 columns


def _services(get: Get) -> Rows:
    from cli.show.service_rows import COLUMNS, service_rows

    return COLUMNS, service_rows(get("/services?status=1"))


def _nodes(get: Get) -> Rows:
    from cli.show.node_rows import columns, node_rows

    rows = node_rows(get("/nodes"), get("/info")["Swarm"]["NodeID"])
    return columns(rows), rows


_COMMANDS: dict[tuple[str, ...], Callable[[Get], Rows]] = {("service", "ls"): _services, ("node", "ls"): _nodes}


def _get(path: str, request: str) -> Any:
    """The JSON answer of a daemon at a unix socket. Raises Unanswered for any answer but a complete 200."""
    import json
    from _socket import AF_UNIX, SOCK_STREAM, socket  # the base of the module socket, without what that module loads

    connection = socket(AF_UNIX, SOCK_STREAM)
    connection.connect(path)
    connection.sendall(f"GET {request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    connection.close()
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    status, *headers = head.decode("latin-1").lower().split("\r\n")
    if status.split()[1:2] != ["200"] or f"content-length: {len(body)}" not in headers:
        raise Unanswered
    return json.loads(body)
