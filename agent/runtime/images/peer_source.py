"""The peer source: fetches images from other hosts of the cluster over gRPC (Host.ExportImage)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

import grpc

from api.errors import Unavailable
from api.wire import rpc
from api.wire.host_messages import EXPORT_METHOD, ExportRequest
from kit.streams import paced

PATIENCE = 120.0
"""Seconds until a peer sends the first chunk: it reads the image from its disk first, and may serve others before."""
SLOWEST = 128 * 1024
"""Average bytes per second below which the next peer is tried."""


class PeerSource(Protocol):
    """Fetches images from other hosts."""

    def fetch(self, peer: str, reference: str) -> AsyncIterator[bytes]:
        """An image as an archive. `peer` is "node_id@address:port". Raises Unavailable with the reason."""
        ...


class GrpcPeers:
    """Peers over mTLS. The certificate proves that the right node answers."""

    def __init__(self, credentials: Callable[[], rpc.Credentials]) -> None:
        self._credentials = credentials

    async def fetch(self, peer: str, reference: str) -> AsyncIterator[bytes]:
        """See PeerSource."""
        node_id, _, address = peer.partition("@")
        channel = rpc.channel(address, self._credentials(), node_id)
        try:
            call = rpc.unary_stream(channel, EXPORT_METHOD, bytes)(ExportRequest(reference=reference))
            async for chunk in paced(call, PATIENCE, SLOWEST):
                yield chunk
        except TimeoutError:
            raise Unavailable("it sends too slowly") from None
        except grpc.aio.AioRpcError as error:
            raise Unavailable(str(error.details() or error.code().name.lower())) from None
        finally:
            await channel.close()
