"""The client of the managers' HTTPS port (manager/http/cluster/join_port.py).

It fetches the CA, joins, renews the certificate, and adds an etcd member.

The first call trusts no manager: the CA certificate that it fetches is accepted only if its digest is in the token.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
import structlog
from msgspec import DecodeError, ValidationError

from api.codec import Value, decode, encode
from api.errors import ArgosyError, Conflict, Forbidden, Invalid, NotFound, Unauthorized, Unavailable
from api.wire.join_messages import JoinAnswer, JoinRequest, MemberAnswer, MemberRequest, RenewRequest
from api.wire.session_messages import MANAGER_NAME
from kit.ip import join_host_port
from kit.network_errors import describe_failure
from manager.security import ca
from node.membership.advertise_address import host_port
from node.membership.identity import IdentityFiles

T = TypeVar("T", bound=Value)
CALL_TIMEOUT = 20.0
"""Seconds; Docker's daemon waits as long for a join."""
_PREFIX = "/argosy/v1"
_ERRORS = {error.status: error for error in (Invalid, Unauthorized, Forbidden, NotFound, Conflict, Unavailable)}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ManagerClient:
    """Calls to the first of some managers that answers; `addresses` are "host:port" of their HTTPS ports."""

    addresses: Sequence[str]
    files: IdentityFiles | None = None
    """With these the client shows its certificate; None before it has one."""

    async def join(self, request: JoinRequest) -> JoinAnswer:
        """Become a node. Raises Invalid, Forbidden (a wrong token) or Unavailable (no manager answers)."""
        wanted = ca.token_digest(request.token)

        async def attempt(address: str) -> JoinAnswer:
            authority = await self._authority(address)
            if ca.digest(authority) != wanted:
                raise Forbidden(
                    f"the manager at {address} has another CA than the join token names: the token is of another "
                    "cluster, or somebody stands between"
                )
            return await self._post(address, "join", request, JoinAnswer, client_context(authority))

        return await self._first(attempt)

    async def renew(self, csr: bytes) -> JoinAnswer:
        """A new certificate for the one shown. Raises Forbidden when the node was removed, or Unavailable."""
        return await self._first(lambda a: self._post(a, "renew", RenewRequest(csr.decode()), JoinAnswer))

    async def add_member(self, peer_url: str) -> MemberAnswer:
        """Add this host's etcd member as a learner. Raises Conflict, Unavailable."""
        return await self._first(lambda a: self._post(a, "members", MemberRequest(peer_url), MemberAnswer))

    async def _first(self, attempt: Callable[[str], Awaitable[T]]) -> T:
        refused: ArgosyError = Unavailable("no address of a manager is known")
        for address in self.addresses:
            try:
                return await attempt(address)
            except Unavailable as error:
                refused = error
        raise refused

    async def _authority(self, address: str) -> bytes:
        """The CA certificate that a manager sends, not verified yet."""
        blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        blind.check_hostname = False
        blind.verify_mode = ssl.CERT_NONE
        return await self._call("GET", address, "ca", b"", blind)

    async def _post(
        self, address: str, path: str, request: Value, kind: type[T], context: ssl.SSLContext | None = None
    ) -> T:
        data = await self._call("POST", address, path, encode(request), context or self._context())
        try:
            return decode(kind, data)
        except (DecodeError, ValidationError):
            raise Unavailable(f"what answers at {address} is no Argosy manager") from None

    async def _call(self, method: str, address: str, path: str, data: bytes, context: ssl.SSLContext) -> bytes:
        host, port = host_port(address, 2377)
        url = f"https://{join_host_port(host, port)}{_PREFIX}/{path}"
        headers = {"Content-Type": "application/json"}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT)) as session,
                session.request(
                    method, url, data=data, headers=headers, ssl=context, server_hostname=MANAGER_NAME
                ) as response,
            ):
                answer = await response.read()
                if response.status == 200:
                    return answer
                raise _error(response.status, answer)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"manager at {address}: {describe_failure(error)}") from None

    def _context(self) -> ssl.SSLContext:
        assert self.files is not None, "this call shows a certificate"
        context = client_context(self.files.authority.read_bytes())
        context.load_cert_chain(self.files.certificate, self.files.key)
        return context


def client_context(authority: bytes) -> ssl.SSLContext:
    """A TLS context that accepts managers of that CA only, at any address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority.decode())
    return context


def _error(status: int, answer: bytes) -> ArgosyError:
    try:
        message = decode(dict[str, str], answer).get("message", "")
    except (DecodeError, ValidationError):
        message = ""
    return _ERRORS.get(status, Unavailable)(message or f"the manager answered {status}")
