"""Descriptions of failed connections do not depend on the texts of libraries."""

from __future__ import annotations

import errno
import socket
import ssl

import aiohttp
import pytest

from kit.network_errors import describe_failure


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "no answer in time"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "whatever"), "nothing listens there (connection refused)"),
        (OSError(errno.EHOSTUNREACH, "whatever"), "no route to host"),
        (socket.gaierror(-2, "whatever"), "no such host name is known"),
        (ssl.SSLCertVerificationError("whatever"), "it shows a certificate that this cluster's CA did not sign"),
        (ssl.SSLError("x"), "it does not speak TLS as a manager does, or does not take our certificate"),
        (aiohttp.ServerDisconnectedError(), "the connection broke"),
    ],
)
def test_the_type_of_the_error_decides(error: BaseException, words: str) -> None:
    assert describe_failure(error) == words


async def test_the_cause_inside_a_clients_error_is_found() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError) as caught:
            await session.get(f"https://127.0.0.1:{port}/")

    assert describe_failure(caught.value) == "nothing listens there (connection refused)"
