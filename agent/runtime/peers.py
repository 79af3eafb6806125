"""Where else an image may be: the other hosts of the cluster, asked over gRPC (api/wire.py, Host.ExportImage)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

import grpc

from api import rpc
from api.errors import Unavailable
from api.wire import EXPORT_METHOD, ExportRequest


class PeerSource(Protocol):
    """Images of other hosts."""

    def fetch(self, peer: str, reference: str) -> AsyncIterator[bytes]:
        """An image as an archive. `peer` is "node_id@address:port". Raises Unavailable with the reason."""
        ...


class GrpcPeers:
    """Peers over mTLS; that the right node answers is checked by its certificate."""

    def __init__(self, credentials: Callable[[], rpc.Credentials]) -> None:
        self._credentials = credentials

    async def fetch(self, peer: str, reference: str) -> AsyncIterator[bytes]:
        """See PeerSource."""
        node_id, _, address = peer.partition("@")
        channel = rpc.channel(address, self._credentials(), node_id)
        try:
            async for chunk in rpc.unary_stream(channel, EXPORT_METHOD, bytes)(ExportRequest(reference=reference)):
                yield chunk
        except grpc.aio.AioRpcError as error:
            raise Unavailable(str(error.details() or error.code().name.lower())) from None
        finally:
            await channel.close()
