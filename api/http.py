"""The plumbing that the cluster part and the host part of the HTTP API share: bodies, filters, errors, versions."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
import structlog
from aiohttp import web

from api.codec import decode_user, encode
from api.errors import ArgosyError, Invalid, TooLarge

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

API_VERSION = "1.50"
MIN_API_VERSION = "1.24"
MAX_BODY = 4 * 1024 * 1024
"""Bytes of a JSON body; image uploads are streamed and have no limit."""

VERSION_PREFIX = "/v{api_version:[0-9.]+}"
_VERSION = re.compile(r"/v(\d+)\.(\d+)(/.*)")
log = structlog.get_logger(__name__)


def answer(value: object, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=encode(value), status=status, content_type="application/json")


def error_answer(error: ArgosyError) -> web.Response:
    """Docker's form of an error."""
    return answer({"message": str(error)}, error.status)


async def body(request: web.Request, kind: type[T]) -> T:
    """The request's JSON body. Raises Invalid or TooLarge."""
    if "Content-Type" in request.headers and request.content_type != "application/json":
        raise Invalid(f"unsupported Content-Type header ({request.content_type}): must be 'application/json'")
    return decode_user(kind, await raw_body(request))


async def raw_body(request: web.Request) -> bytes:
    """The request's body, bounded. Raises TooLarge."""
    if (request.content_length or 0) > MAX_BODY:
        raise TooLarge(f"the request body has {request.content_length} bytes; at most {MAX_BODY} are taken")
    data = await request.content.read(MAX_BODY + 1)
    while not request.content.at_eof() and len(data) <= MAX_BODY:
        data += await request.content.read(MAX_BODY + 1 - len(data))
    if len(data) > MAX_BODY:
        raise TooLarge(f"the request body has more than {MAX_BODY} bytes")
    return data


def filters(request: web.Request, known: frozenset[str]) -> dict[str, set[str]]:
    """The `filters` of a list request: name → accepted values. Both of Docker's forms; unknown names are refused."""
    text = request.query.get("filters", "")
    if not text:
        return {}
    try:
        raw = msgspec.json.decode(text, type=dict[str, dict[str, bool] | list[str]])
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise Invalid('filters: not of the form {"name": {"value": true}}') from None
    if unknown := sorted(set(raw) - known):
        raise Invalid(f"invalid filter '{unknown[0]}'; known here: {', '.join(sorted(known))}")
    return {name: {v for v in values if not isinstance(values, dict) or values[v]} for name, values in raw.items()}


def flag(request: web.Request, name: str) -> bool:
    """A boolean query parameter, as Docker reads them."""
    return request.query.get(name, "").lower() not in ("", "0", "no", "false", "none")


def number(request: web.Request, name: str, default: int) -> int:
    """An integer query parameter. Raises Invalid."""
    text = request.query.get(name, "")
    try:
        return int(text) if text else default
    except ValueError:
        raise Invalid(f"{name}: {text!r} is not a whole number") from None


def moment(request: web.Request, name: str) -> float:
    """A point in time from the query, in Unix seconds; 0 when it is not given. Raises Invalid."""
    text = request.query.get(name, "")
    if not text:
        return 0.0
    if (found := read_moment(text)) is None:
        raise Invalid(f"{name}: {text!r} is neither Unix seconds nor a time like 2024-01-31T12:00:00Z")
    return found


def read_moment(text: str) -> float | None:
    """A point in time, given in Unix seconds or as RFC 3339; None for what is neither."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def timestamp(seconds: float) -> str:
    """Unix seconds as the API writes times (RFC 3339, UTC); 0 is Go's zero time."""
    if seconds <= 0:
        return "0001-01-01T00:00:00Z"
    whole = int(seconds)
    nanoseconds = round((seconds - whole) * 1_000_000) * 1000  # a float of this size knows microseconds, no more
    whole, nanoseconds = (whole + 1, 0) if nanoseconds >= 1_000_000_000 else (whole, nanoseconds)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def label_match(labels: dict[str, str], wanted: set[str]) -> bool:
    """Docker's label filter: each of "key" or "key=value" must hold."""
    for item in wanted:
        key, equals, value = item.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def make_app(routes: list[web.RouteDef]) -> web.Application:
    """An application that takes every path with and without a version, and answers every error in Docker's form."""
    app = web.Application(middlewares=[_errors], client_max_size=0)
    for route in routes:
        route.register(app.router)
        web.RouteDef(route.method, VERSION_PREFIX + route.path, route.handler, route.kwargs).register(app.router)
    return app


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        _check_version(request)
        return await handler(request)
    except ArgosyError as error:
        if error.status == 500:
            log.error("request failed", method=request.method, path=request.path, error=str(error))
        return error_answer(error)
    except web.HTTPNotFound:
        return answer({"message": f"page not found: {request.method} {request.path}"}, 404)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        return answer({"message": f"{request.method} is not possible on {request.path}; {allowed} is"}, 405)
    except web.HTTPException:
        raise
    except Exception:
        log.exception("request failed", method=request.method, path=request.path)
        return answer({"message": "internal error; argosyd's log has the details"}, 500)


def _check_version(request: web.Request) -> None:
    if not (match := _VERSION.match(request.path)):
        return
    asked, client = (int(match[1]), int(match[2])), f"{match[1]}.{match[2]}"
    if asked > _parts(API_VERSION):
        raise Invalid(f"client version {client} is too new. Maximum supported API version is {API_VERSION}")
    if asked < _parts(MIN_API_VERSION):
        raise Invalid(f"client version {client} is too old. Minimum supported API version is {MIN_API_VERSION}")


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
