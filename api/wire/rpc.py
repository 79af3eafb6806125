"""gRPC between hosts over our own codec: channels, method tables, and who is calling.

grpcio takes any serializer, so no code is generated: messages are the structs of api/wire/session_messages.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from api.codec import decode, encode
from api.errors import Forbidden, Invalid
from api.states import Role
from api.wire.host_bounds import MOST_MESSAGE
from api.wire.session_messages import MANAGER_NAME

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")
CONNECTION = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.so_reuseport", 0),
]
"""Options that keep connections open and detect broken ones."""
OPTIONS = [
    *CONNECTION,
    ("grpc.max_receive_message_length", MOST_MESSAGE),
    ("grpc.max_send_message_length", MOST_MESSAGE),
    # a few kilobytes of compressed zeros would pass the limit and fill the memory: nothing is compressed, nor unpacked
    ("grpc.compression_enabled_algorithms_bitset", 1),
    ("grpc.per_message_decompression", 0),
]
"""Between hosts: messages are bounded."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A node's own certificate and key, and the cluster's CA; all PEM."""

    certificate: bytes
    key: bytes
    ca: bytes


@dataclass(frozen=True, slots=True)
class Caller:
    """The identity of the peer, from its certificate."""

    node_id: str
    role: Role
    key: str = ""
    """The digest of its public key (`key_digest`)."""


@lru_cache(maxsize=1024)
def caller_of(pem: bytes) -> Caller:
    """The identity in a certificate that TLS has already verified. Raises Forbidden if it has another format."""
    certificate = x509.load_pem_x509_certificate(pem)
    subject = certificate.subject
    try:
        name = str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        unit = str(subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)[0].value)
        return Caller(name, Role(unit.removeprefix("swarm-")), key_digest(public_key(certificate)))
    except (IndexError, ValueError):
        raise Forbidden("the caller's certificate names no node and role of a cluster") from None


def public_key(certificate: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    """The public key of a certificate or CSR (SubjectPublicKeyInfo, DER)."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@lru_cache(maxsize=4096)
def key_digest(public: bytes) -> str:
    """SHA-256 of a public key, in hexadecimal, which identifies a node's key; "" for no key."""
    return hashlib.sha256(public).hexdigest() if public else ""


def caller(context: Any) -> Caller:
    """The caller of a served method."""
    pems = context.auth_context().get("x509_pem_cert")
    if not pems:
        raise Forbidden("no client certificate")
    return caller_of(pems[0])


def channel(
    address: str, credentials: Credentials, name: str = MANAGER_NAME, options: Mapping[str, int] | None = None
) -> Any:
    """An mTLS channel that requires `name` in the peer's certificate: a node id, or the name of all managers.

    `options` override OPTIONS.
    """
    return grpc.aio.secure_channel(
        address,
        grpc.ssl_channel_credentials(credentials.ca, credentials.key, credentials.certificate),
        options=[*{**dict(OPTIONS), **(options or {})}.items(), ("grpc.ssl_target_name_override", name)],
    )


def server_credentials(credentials: Credentials) -> Any:
    """Server credentials; clients must have a certificate of our CA."""
    return grpc.ssl_server_credentials(
        [(credentials.key, credentials.certificate)], credentials.ca, require_client_auth=True
    )


def stream_stream(target: Any, method: str, answer: Any) -> Any:
    """The client side of a bidirectional method; `answer` is the type of the answers, `bytes` for raw bytes."""
    return target.stream_stream(method, request_serializer=encode, response_deserializer=_reader(answer))


def unary_stream(target: Any, method: str, answer: Any) -> Any:
    """The client side of a method with one request and a stream of answers; `answer` is `bytes` for raw bytes."""
    return target.unary_stream(method, request_serializer=encode, response_deserializer=_reader(answer))


def _raw(data: bytes) -> bytes:
    return data


def _reader(kind: Any) -> Callable[[bytes], Any]:
    return _raw if kind is bytes else partial(decode, kind)


def _writer(kind: Any) -> Callable[[Any], bytes]:
    return _raw if kind is bytes else encode


def read(kind: TypeForm[T], data: bytes) -> T:
    """Decode a message from another host. Raises Invalid for data that is not a valid message."""
    try:
        return decode(kind, data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise Invalid(f"the message cannot be read: {str(error)[:200]}") from None
    except RecursionError:
        raise Invalid("the message cannot be read: its values are nested too deep") from None


def stream_stream_handler(behaviour: Any, request: Any) -> Any:
    """The served side of a bidirectional method; `request` is `bytes` for messages that the behaviour reads itself."""
    return grpc.stream_stream_rpc_method_handler(
        behaviour, request_deserializer=_reader(request), response_serializer=encode
    )


def unary_stream_handler(behaviour: Any, request: Any, answer: Any) -> Any:
    """The served side of a method with one request and a stream of answers."""

    async def served(data: bytes, context: Any) -> AsyncIterator[Any]:
        try:
            message = read(request, data)
        except Invalid as error:  # sent to the caller; grpc would write a traceback to our log
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        async with aclosing(behaviour(message, context)) as items:
            async for item in items:
                yield item

    return grpc.unary_stream_rpc_method_handler(served, request_deserializer=_raw, response_serializer=_writer(answer))


def service(name: str, methods: Mapping[str, Any]) -> Any:
    """A service to add to a server: method name → handler."""
    return grpc.method_handlers_generic_handler(name, dict(methods))
