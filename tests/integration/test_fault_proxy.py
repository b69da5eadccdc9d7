"""The proxy for faults: it passes bytes on as they are, and each fault does what it says to open and to new connections."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import closing

import pytest

from agent_store.entrypoints.listen import bind
from agent_store.entrypoints.proxy import FaultProxy


@contextlib.asynccontextmanager
async def echo() -> AsyncGenerator[int]:
    """A server that says everything again, and ends when its client does."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
            writer.write(b"bye")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    async with echo() as port, FaultProxy("127.0.0.1", port) as made:
        yield made


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, proxy: FaultProxy) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", proxy.port))

    async def say(self, text: bytes, seconds: float = 10.0) -> bytes:
        self.writer.write(text)
        return await self.hear(len(text), seconds)

    async def hear(self, count: int, seconds: float = 10.0) -> bytes:
        async with asyncio.timeout(seconds):
            return await self.reader.readexactly(count)

    async def is_reset(self) -> bool:
        async with asyncio.timeout(10):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True


async def test_bytes_pass_as_they_are_and_so_does_an_end(proxy: FaultProxy) -> None:
    client = await Client.to(proxy)
    sent = os.urandom(3_000_000)
    hearing = asyncio.create_task(client.hear(len(sent), 30))
    client.writer.write(sent)
    assert await hearing == sent
    client.writer.write_eof()
    assert await client.reader.read() == b"bye"
    async with asyncio.timeout(10):
        while proxy.open:
            await asyncio.sleep(0.01)
    assert proxy.accepted == 1


async def test_a_cut_resets_what_is_open_and_refuses_what_is_new_until_it_is_healed(proxy: FaultProxy) -> None:
    client = await Client.to(proxy)
    assert await client.say(b"hello") == b"hello"
    port = proxy.port
    await proxy.cut()
    assert await client.is_reset()
    with pytest.raises(OSError, match=r"refused|failed"):
        await Client.to(proxy)
    await proxy.heal()
    assert proxy.port == port
    assert await (await Client.to(proxy)).say(b"again") == b"again"


async def test_a_drop_resets_once(proxy: FaultProxy) -> None:
    client = await Client.to(proxy)
    assert await client.say(b"hello") == b"hello"
    await proxy.drop()
    assert await client.is_reset()
    assert await (await Client.to(proxy)).say(b"again") == b"again"


async def test_slow_is_later_in_each_direction_and_not_narrower(proxy: FaultProxy) -> None:
    client = await Client.to(proxy)
    loop = asyncio.get_running_loop()
    proxy.slow(0.1)

    async def passage() -> float:
        began = loop.time()
        hearing = asyncio.create_task(client.hear(20 * 65_536))
        for _ in range(20):
            client.writer.write(bytes(65_536))
            await client.writer.drain()
        await hearing
        return loop.time() - began

    took = min([await passage() for _ in range(3)])  # the machine may stand still in one of them
    assert 0.2 <= took < 2.0
    proxy.slow(60)
    await proxy.heal()
    assert await client.say(b"quick") == b"quick"


async def test_a_black_hole_keeps_connections_open_and_lets_nothing_through(proxy: FaultProxy) -> None:
    before = await Client.to(proxy)
    assert await before.say(b"hello") == b"hello"
    proxy.black_hole()
    new = await Client.to(proxy)
    for client in (before, new):
        with pytest.raises(TimeoutError):
            await client.say(b"lost?", 0.1)
        assert not client.reader.at_eof()
    await proxy.heal()
    for client in (before, new):
        assert await client.hear(5) == b"lost?"


async def test_a_connection_in_a_black_hole_can_be_given_up(proxy: FaultProxy) -> None:
    client = await Client.to(proxy)
    proxy.black_hole()
    client.writer.write(b"lost")
    client.writer.close()
    await proxy.cut()
    assert proxy.open == 0
    await proxy.heal()
    assert await (await Client.to(proxy)).say(b"again") == b"again"


async def test_a_target_that_is_away_resets_its_clients() -> None:
    with closing(bind("127.0.0.1", 0)) as held:  # nobody listens there, and nobody else can
        async with FaultProxy("127.0.0.1", held.getsockname()[1]) as proxy:
            assert await (await Client.to(proxy)).is_reset()
