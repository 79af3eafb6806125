"""The aiohttp application that the cluster part and the host part of the API share: bodies, errors, versions."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import structlog
from aiohttp import web

from api.bounds import check_parameter
from api.codec import encode
from api.defaults import USER_AGENT
from api.engine.requests import read_request
from api.errors import ArgosyError, Invalid, TooLarge, TooSlow

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

API_VERSION = "1.50"
MIN_API_VERSION = "1.24"
MAX_BODY = 4 * 1024 * 1024
"""Bytes of a JSON body; image uploads are streamed and have no limit."""
MOST_WORDS = 4000
"""Characters of an error's message, which may repeat parts of the request."""
BODY_TIME = 30.0
"""Seconds in which a JSON body must arrive."""
BODY_PAUSE = 10.0
"""Seconds without a byte after which reading a JSON body fails."""
UPLOAD_PAUSE = 60.0
"""Seconds without a byte after which reading an upload fails."""

VERSION_PREFIX = "/v{api_version:[0-9.]+}"
_VERSION = re.compile(r"/v([0-9]{1,20})\.([0-9]{1,20})(/.*)", re.DOTALL)
log = structlog.get_logger(__name__)


def answer(value: object, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=encode(value), status=status, content_type="application/json")


def error_answer(error: ArgosyError) -> web.Response:
    """An error in Docker's form."""
    text = str(error)
    view: dict[str, object] = {"message": text if len(text) <= MOST_WORDS else text[:MOST_WORDS] + "…"}
    if error.reason is not None:
        view["Reason"] = error.reason
    return answer(view, error.status)


async def body(request: web.Request, kind: type[T], most: int = MAX_BODY, seconds: float = BODY_TIME) -> T:
    """The request's JSON body, of at most `most` bytes in `seconds`. Raises Invalid, TooLarge or TooSlow."""
    if "Content-Type" in request.headers and request.content_type != "application/json":
        raise Invalid(f"unsupported Content-Type header ({request.content_type}): must be 'application/json'")
    return read_request(kind, await raw_body(request, most, seconds), strict=is_ours(request))


def is_ours(request: web.Request) -> bool:
    """Whether the request's User-Agent is our own command line, which knows the schema."""
    agent = request.headers.get("User-Agent", "")
    return agent == USER_AGENT or agent.startswith(f"{USER_AGENT}/")


async def raw_body(request: web.Request, most: int = MAX_BODY, seconds: float = BODY_TIME) -> bytes:
    """The request's body, bounded in size, time and pauses. Raises TooLarge or TooSlow."""
    if (request.content_length or 0) > most:
        raise TooLarge(f"the request body has {request.content_length} bytes; at most {most} are taken")
    data = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while len(data) <= most and (piece := await _piece(request, most + 1 - len(data), BODY_PAUSE)):
                data += piece
    except TimeoutError:
        why = f"nothing more of it came in within {BODY_PAUSE:.0f} s, or it took more than {seconds:.0f} s"
        raise TooSlow(f"the request body is not whole: {why}") from None
    if len(data) > most:
        raise TooLarge(f"the request body has more than {most} bytes")
    return bytes(data)


async def _piece(request: web.Request, size: int, seconds: float) -> bytes:
    """The next bytes of the body. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        return await request.content.read(size)


async def upload(request: web.Request, size: int) -> AsyncIterator[bytes]:
    """The pieces, of at most `size` bytes, of a body of any length. Raises TooSlow when no more of it arrives."""
    while True:
        try:
            piece = await _piece(request, size, UPLOAD_PAUSE)
        except TimeoutError:
            raise TooSlow(f"nothing more of the upload came in within {UPLOAD_PAUSE:.0f} s") from None
        if not piece:
            return
        yield piece


def make_app(routes: list[web.RouteDef]) -> web.Application:
    """An application that serves every path with and without a version, and answers every error in Docker's form."""
    app = web.Application(middlewares=[_errors], client_max_size=0)
    for route in routes:
        route.register(app.router)
        web.RouteDef(route.method, VERSION_PREFIX + route.path, route.handler, route.kwargs).register(app.router)
    return app


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        _check(request)
        return await handler(request)
    except ArgosyError as error:
        if error.status == 500:
            log.error("request failed", method=request.method, path=request.path, error=str(error))
        return error_answer(error)
    except web.HTTPException as error:
        return answer({"message": _words(request, error)}, error.status)
    except web.RequestPayloadError as error:
        return answer({"message": f"the request body is broken: {_first_line(error)}"}, 400)
    except Exception as error:
        if isinstance(error, ConnectionError) and _is_gone(request):
            return web.Response(status=400)  # the client has disconnected
        log.exception("request failed", method=request.method, path=request.path)
        return answer({"message": "internal error; argosyd's log has the details"}, 500)


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _words(request: web.Request, error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{request.method} is not possible on {request.path}; {', '.join(sorted(error.allowed_methods))} is"
    if isinstance(error, web.HTTPNotFound):
        return f"page not found: {request.method} {request.path}"
    return error.reason


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__


def _check(request: web.Request) -> None:
    """Check what holds for every request, whatever its route. Raises Invalid."""
    for what, text in (*request.match_info.items(), *request.query.items()):
        check_parameter(what, "the name of a parameter")
        check_parameter(text, what)
    check_parameter(request.path, "the path")
    if (coding := request.headers.get("Content-Encoding", "identity").lower()) != "identity":
        raise Invalid(f"Content-Encoding: {check_parameter(coding, 'Content-Encoding')}: send the body as it is")
    _check_version(request)


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
