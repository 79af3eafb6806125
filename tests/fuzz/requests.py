"""Requests from a seed: every route there is, with good, odd and hostile parameters, headers and bodies, and raw noise.

Routes come from the real tables and parameter names from the handlers' sources, so what is added is tried at once.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_from_bytes

from aiohttp import web

from api.engine.execs import ExecCreateRequest, ExecStartRequest
from api.engine.swarm import SwarmInitRequest, SwarmJoinRequest, SwarmUpdateRequest
from api.engine.volumes import VolumeCreateRequest
from api.network.network_spec import NetworkSpec
from api.node_spec import NodeSpec
from api.service.service_spec import ServiceSpec
from api.stored_file import ConfigSpec, SecretSpec
from api.wire.join_messages import JoinRequest, MemberRequest, RenewRequest
from tests.fuzz.values import HOSTILE_TEXT, Values

ROOT = Path(__file__).parents[2]
_PLACE = re.compile(r"\{(\w+)(?::[^}]*)?\}")
_ASKED = re.compile(
    r"""(?:query\.(?:get|getall)\(\s*|query\[|(?:flag|number|moment)\(\s*request,\s*)["']([\w-]+)["']"""
    r"""|["']([\w-]+)["'] (?:not )?in request\.query"""
)
BODIES: dict[str, Any] = {
    "/services/": ServiceSpec, "/argosy/v1/": ServiceSpec, "/networks/": NetworkSpec, "/secrets/": SecretSpec,
    "/configs/": ConfigSpec, "/nodes/": NodeSpec, "/swarm/update": SwarmUpdateRequest,
    "/swarm/init": SwarmInitRequest,
    "/swarm/join": SwarmJoinRequest, "/volumes/": VolumeCreateRequest, "/containers/": ExecCreateRequest,
    "/exec/": ExecStartRequest, "/join": JoinRequest, "/renew": RenewRequest, "/members": MemberRequest,
}  # fmt: skip
"""What a body of a route is like, by a part of its path; others get any JSON."""
GOOD: dict[Any, dict[str, Any]] = {
    ServiceSpec: {
        "Name": None,
        "TaskTemplate": {"ContainerSpec": {"Image": "demo:1", "Args": ["sleep", "1"]}},
        "Mode": {"Replicated": {"Replicas": 2}},
    },
    NetworkSpec: {"Name": None, "Driver": "overlay"},
    SecretSpec: {"Name": None, "Data": "aGVsbG8="},
    ConfigSpec: {"Name": None, "Data": "aGVsbG8="},
    NodeSpec: {"Role": "worker", "Availability": "active"},
    VolumeCreateRequest: {"Name": None},
    ExecCreateRequest: {"Cmd": ["true"], "AttachStdout": True},
    ExecStartRequest: {"Detach": True},
}
"""Bodies that are right, to be changed in a few places; None is a new name."""
FILTERS = (
    "id", "name", "label", "mode", "type", "scope", "service", "node", "desired-state", "until", "since", "before",
    "dangling", "reference", "status", "exited", "publish", "expose", "health", "volume", "network",
    "role", "_up-to-date",
)  # fmt: skip
HEADERS = (
    ("Content-Type", ("application/json", "text/plain", "application/x-tar", "application/json; charset=utf-7", "")),
    ("Content-Encoding", ("gzip", "identity", "deflate", "br", "\x7f")),
    ("X-Registry-Auth", ("e30=", "e30", "!!", "bnVsbA==", "A" * 3000, "eyJ1c2VybmFtZSI6IDF9", "W1tbW1tb" * 200)),
    ("Upgrade", ("tcp", "websocket", "h2c")),
    ("Connection", ("close", "keep-alive", "Upgrade", "")),
    ("Expect", ("100-continue", "200-ok")),
    ("User-Agent", ("Docker-Client/27.0 (linux)", "\xff", "")),
    ("Range", ("bytes=0-1",)),
    ("Cookie", ("a=b; c", "=" * 500)),
)  # fmt: skip


METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW")


@dataclass(frozen=True)
class Request:
    """What is sent, and what to tell when it goes wrong."""

    seed: int
    method: str
    sent: bytes
    route: str

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.route}\n{self.sent[:2000]!r}"


@cache
def query_names() -> tuple[str, ...]:
    """Every query parameter that a handler reads."""
    found = set()
    for folder in ("api", "manager/http", "agent/http", "node"):
        for path in (ROOT / folder).rglob("*.py"):
            found |= {name for pair in _ASKED.findall(path.read_text()) for name in pair if name}
    return tuple(sorted(found))


class Requests:
    """Makes the request of a seed. `known` are names and ids that exist, by the kind of thing."""

    def __init__(self, routes: Sequence[web.RouteDef], known: Mapping[str, tuple[str, ...]]) -> None:
        self._routes = [route for route in routes if isinstance(route, web.RouteDef)]
        self._known = known

    def of(self, seed: int) -> Request:
        """The same for the same seed, as long as the same things exist."""
        rng = random.Random(seed)
        if rng.random() < 0.05:
            return Request(seed, "?", _noise(rng), "noise")
        route = self._routes[seed % len(self._routes)] if rng.random() < 0.8 else rng.choice(self._routes)
        values = Values(rng)
        method = (
            route.method
            if rng.random() < 0.93 and route.method != "*"
            else rng.choice(("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW"))
        )
        target = self._path(rng, values, route.path) + self._query(rng, values)
        body, headers = self._body(rng, values, route), [("Host", "d")]
        if body or method in ("POST", "PUT"):
            headers.append(("Content-Type", "application/json"))
        headers += [(name, rng.choice(choices)) for name, choices in HEADERS if rng.random() < 0.04]
        sent = _assembled(rng, method, target, headers, body)
        return Request(seed, method, sent, f"{method} {route.path}")

    def _path(self, rng: random.Random, values: Values, path: str) -> str:
        known = self._known.get(path.split("/")[1], ()) if rng.random() < 0.9 else sum(self._known.values(), ())

        def place(_: re.Match[str]) -> str:
            if rng.random() < 0.08:
                return quote_from_bytes(rng.randbytes(rng.randrange(1, 12)))
            return _quoted(rng, values.text(known) if rng.random() < 0.4 else rng.choice(known or ("web",)))

        version = rng.choice(("", "", "", "/v1.50", "/v1.24", "/v1.47", "/v9.9", "/v1", "/v1.2.3", "/v99999999999.1"))
        return version + _PLACE.sub(place, path)

    def _query(self, rng: random.Random, values: Values) -> str:
        chosen = [rng.choice(query_names()) for _ in range(rng.choice((0, 0, 1, 1, 2, 4)))]
        pairs = [f"{name}={_quoted(rng, self._parameter(rng, values, name))}" for name in chosen]
        return "?" + "&".join(pairs) if pairs else ""

    def _parameter(self, rng: random.Random, values: Values, name: str) -> str:
        if name == "filters" or rng.random() < 0.02:
            return json.dumps({
                rng.choice(FILTERS): rng.choice(([values.text()], {values.text(): True}, values.anything(2)))
                for _ in range(rng.randrange(3))
            })  # fmt: skip
        return str(rng.choice((values.text(), values.number() % 10**40, "1", "0", "true", "all", "previous")))

    def _body(self, rng: random.Random, values: Values, route: web.RouteDef) -> bytes:
        if route.method in ("GET", "HEAD", "DELETE") and rng.random() < 0.95:
            return b""
        draw = rng.random()
        if draw < 0.10:
            return rng.choice(
                (b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"{}" * 3, b"NaN", b'{"a":1e999}', b"1" * 5000)
            )
        if draw < 0.14:
            deep = rng.choice((60, 70, 500, 2000, 100_000))
            return rng.choice((b'{"Labels":' * deep + b"1" + b"}" * deep, b"[" * deep + b"]" * deep, b"[" * deep))
        if draw < 0.15:
            return b'{"Name":"' + b"a" * rng.choice((10**5, 4 * 2**20 - 20, 4 * 2**20 + 1)) + b'"}'
        kind = next((kind for part, kind in BODIES.items() if part in route.path), None)
        value = values.of(kind) if kind is not None and draw < 0.95 else values.anything(4)
        if kind in GOOD and isinstance(value, dict) and rng.random() < 0.7:
            few = rng.sample(sorted(value), min(len(value), rng.randrange(3)))
            value = _laid_over(GOOD[kind], {name: value[name] for name in few}, values)
        return json.dumps(value, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def _laid_over(good: dict[str, Any], odd: dict[str, Any], values: Values) -> dict[str, Any]:
    """The good one with some of the odd one's fields, merged at any level."""
    merged = {name: f"n{values.rng.randrange(10**6)}" if value is None else value for name, value in good.items()}
    for name, value in odd.items():
        both = isinstance(merged.get(name), dict) and isinstance(value, dict)
        few = values.rng.sample(sorted(value), min(len(value), 2)) if both else ()
        merged[name] = _laid_over(merged[name], {key: value[key] for key in few}, values) if both else value
    return merged


def _quoted(rng: random.Random, text: str) -> str:
    safe = "/:" if rng.random() < 0.5 else ""
    return quote(text.encode("utf-8", "surrogatepass"), safe=safe)


def _assembled(rng: random.Random, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> bytes:
    """The bytes; framed by length, in chunks, or wrongly."""
    draw = rng.random()
    if body and draw < 0.1:
        headers.append(("Transfer-Encoding", "chunked"))
        size = rng.randrange(1, 4000)
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        end = rng.choice(
            (b"0\r\n\r\n", b"0\r\n\r\n", b"zz\r\n", b"-1\r\n\r\n", b"ffffffffffffffffff\r\nx\r\n", b"0\r\nX: y\r\n\r\n")
        )
        body = framed + end
    elif body or method in ("POST", "PUT"):
        wrong = rng.choice((str(len(body) + 3), "-1", "1e3", "9" * 30, "+5")) if draw > 0.985 else str(len(body))
        headers.append(("Content-Length", wrong))
        if draw > 0.98:
            headers.append(
                rng.choice((("Transfer-Encoding", "chunked"), ("Content-Length", "1"), ("Transfer-Encoding", "x")))
            )
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace") + body


def _noise(rng: random.Random) -> bytes:
    """What is no HTTP, or nearly so."""
    path = quote(rng.choice(HOSTILE_TEXT).encode("utf-8", "surrogatepass"))
    forms = (
        rng.randbytes(rng.randrange(1, 600)),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(200),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        f"GET /{path} HTTP/0.9\r\n\r\n".encode(),
        f"GET /{path} HTTP/1.0\r\n\r\n".encode(),
        b"GET /\xff\xfe\x00 HTTP/1.1\r\nHost: d\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: d\r\n" + b"X-A: " + b"b" * rng.choice((100, 9000, 70_000)) + b"\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: d\r\n"
        + b"".join(b"X-%d: y\r\n" % n for n in range(rng.choice((10, 200, 5000))))
        + b"\r\n",
        b"GET /" + b"a" * rng.choice((8000, 9000, 100_000)) + b" HTTP/1.1\r\nHost: d\r\n\r\n",
        b"GET /_ping HTTP/1.1\nHost: d\n\n",
        b"GET /_ping HTTP/1.1\r\nHost : d\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\n Host: d\r\n\r\n",
        b"POST /services/create HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST /networks/create HTTP/1.1\r\nHost: d\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: d\r\n\r\n",
        b"GET //d/_ping HTTP/1.1\r\nHost: \x00\r\n\r\n",
        b"CONNECT d:80 HTTP/1.1\r\nHost: d\r\n\r\n",
        b"\r\n\r\n\r\nGET /_ping HTTP/1.1\r\nHost: d\r\n\r\n" * rng.choice((1, 30)),
        b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n" * rng.choice((2, 200)),
    )
    return rng.choice(forms)
