"""Descriptions of failed connections, chosen by an error's type and number, never by its text."""

from __future__ import annotations

import os
import socket
import ssl


def describe_failure(error: BaseException) -> str:
    """A clause that says why a connection failed. Also looks at the causes of errors that a client library wrapped."""
    chain = list(_chain(error))
    for kind, words in _WORDS:
        if any(isinstance(each, kind) for each in chain):
            return words
    for each in chain:
        number = each.errno if isinstance(each, OSError) else None
        if number and number > 0:
            return os.strerror(number).lower()
    return "the connection broke"


_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, "no answer in time"),
    (socket.gaierror, "no such host name is known"),
    (ssl.SSLCertVerificationError, "it shows a certificate that this cluster's CA did not sign"),
    (ssl.SSLError, "it does not speak TLS as a manager does, or does not take our certificate"),
    (ConnectionRefusedError, "nothing listens there (connection refused)"),
    (ConnectionResetError, "it ended the connection"),
    (BrokenPipeError, "it ended the connection"),
)


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__ or getattr(error, "os_error", None)
    return found
