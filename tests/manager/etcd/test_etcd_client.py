"""The etcd client, as far as no real etcd is needed."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aetcd import rpc

from api.errors import Unavailable
from manager.etcd.etcd_client import EtcdConnection


async def test_a_stream_to_a_host_that_does_not_answer_can_be_moved_before_it_is_connected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connection = EtcdConnection([f"127.0.0.1:{silent.getsockname()[1]}"], None)
        stream = connection.stream("watch", "Watch")
        writing = asyncio.ensure_future(stream.write(rpc.WatchRequest()))
        await asyncio.sleep(0.05)
        assert not writing.done()
        stream.cancel()
        with pytest.raises(Unavailable, match="closed"):
            await asyncio.wait_for(writing, 5.0)
        await connection.close()
