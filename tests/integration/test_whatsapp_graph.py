"""The Graph client against a real local server that answers well, badly, late or not at all."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from agent_store.adapters.whatsapp.graph import GraphClient
from agent_store.agents.whatsapp.ports import SendInDoubt, WhatsAppSettings
from agent_store.kernel.errors import PermanentError, TemporaryError

TOKEN = "token-that-nobody-may-see"
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
LONG = timedelta(seconds=30)
PAYLOAD = {"messaging_product": "whatsapp", "to": "5511", "type": "text", "text": {"body": "olá"}}


def http(status: int, body: object, *headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = "\r\n".join([f"HTTP/1.1 {status} X", f"content-length: {len(content)}", "connection: close", *headers])

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode() + b"\r\n\r\n" + content)

    return answer


def fault(code: int, message: str = "(#0) no", details: str = "") -> dict[str, object]:
    return {"error": {"message": message, "code": code, "error_data": {"details": details}, "fbtrace_id": "A1"}}


async def silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def trickle(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(200):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


@asynccontextmanager
async def graph(
    answer: Answer, heard: list[bytes] | None = None, *, patience: timedelta = LONG
) -> AsyncGenerator[GraphClient]:
    busy: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        busy.add(task)
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(
            int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        )
        body = await reader.readexactly(size)
        if heard is not None:
            heard.extend((head, body))
        try:
            await answer(writer)
            if not writer.is_closing():
                await writer.drain()
        except ConnectionError:
            pass  # the client has given up, as some of these tests want it to
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with GraphClient(settings(f"http://127.0.0.1:{port}", patience)) as api:
            yield api
    finally:
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        server.close()
        await server.wait_closed()


def settings(url: str, patience: timedelta = LONG) -> WhatsAppSettings:
    return WhatsAppSettings(
        app_secret="s",
        verify_token="v",
        access_token=TOKEN,
        graph_url=url,
        public_url="http://shop",
        send_timeout=patience,
        connect_timeout=min(patience + timedelta(seconds=2), LONG),
    )


async def test_a_send_is_one_post_with_the_token_and_returns_the_wamid() -> None:
    heard: list[bytes] = []
    async with graph(http(200, {"messages": [{"id": "wamid.1"}]}), heard) as api:
        assert await api.send("219870000000001", PAYLOAD) == "wamid.1"
    head, body = heard
    assert head.startswith(b"POST /v23.0/219870000000001/messages HTTP/1.1")
    assert f"authorization: bearer {TOKEN}".encode() in head.lower()
    assert json.loads(body) == PAYLOAD


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (http(429, fault(130429)), None),
        (http(400, fault(131056)), None),
        (http(400, fault(80007)), None),
        (http(400, fault(80007), 'x-business-use-case-usage: {"1": [{"estimated_time_to_regain_access": 7}]}'), 420),
        (http(400, fault(80007), 'x-business-use-case-usage: {"1": [{"estimated_time_to_regain_access": 0}]}'), None),
        (http(400, fault(80007), "x-business-use-case-usage: [[1]]"), None),
        (http(429, b"slow down", "retry-after: 17"), 17),
        (http(429, b"slow down", "retry-after: 99999999"), 3600),
        (http(429, b"slow down", "retry-after: Wed, 21 Oct 2026 07:28:00 GMT"), None),
        (http(500, fault(131000)), None),
        (http(503, b"<html>"), None),
        (http(502, b""), None),
        (http(302, b"", "location: http://elsewhere/"), 60),
    ],
)
async def test_what_may_work_later_is_temporary(answer: Answer, seconds: int | None) -> None:
    async with graph(answer) as api:
        with pytest.raises(TemporaryError) as caught:
            await api.send("1", PAYLOAD)
    assert caught.value.retry_after == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize("answer", [http(401, fault(190, "Session has expired")), http(401, b"")])
async def test_an_expired_token_may_be_mended_and_it_says_how(answer: Answer) -> None:
    async with graph(answer) as api:
        with pytest.raises(TemporaryError, match="AGENT_STORE_WHATSAPP_ACCESS_TOKEN") as caught:
            await api.send("1", PAYLOAD)
    assert caught.value.details["platform_code"] == 190
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (http(400, fault(131030, "(#131030) Recipient not in allowed list", "Add the number")), 131030),
        (http(404, fault(100, "Unsupported post request")), 100),
        (http(400, b"what"), None),
    ],
)
async def test_a_refusal_is_permanent_with_the_platforms_words(answer: Answer, code: int | None) -> None:
    async with graph(answer) as api:
        with pytest.raises(PermanentError) as caught:
            await api.send("1", PAYLOAD)
    assert caught.value.details["platform_code"] == code
    if code == 131030:
        assert caught.value.message.endswith("(#131030) Recipient not in allowed list: Add the number")


@pytest.mark.parametrize("answer", [silence, trickle])
async def test_an_answer_that_does_not_end_is_not_waited_for(answer: Answer) -> None:
    async with graph(answer, patience=timedelta(milliseconds=300)) as api:
        with pytest.raises(SendInDoubt):
            await api.send("1", PAYLOAD)


@pytest.mark.parametrize(
    "answer",
    [
        hang_up,
        http(200, b"garbage"),
        http(200, []),
        http(200, {"messages": []}),
        http(200, {"messages": [{"id": 7}]}),
        http(504, b""),
    ],
)
async def test_without_a_readable_answer_the_send_is_in_doubt(answer: Answer) -> None:
    async with graph(answer) as api:
        with pytest.raises(SendInDoubt):
            await api.send("1", PAYLOAD)


async def test_a_refused_connection_is_no_doubt() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        async with GraphClient(settings(url)) as api:
            with pytest.raises(TemporaryError, match="cannot be reached"):
                await api.send("1", PAYLOAD)


async def test_the_token_stands_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with graph(http(400, fault(100))) as api:
            with pytest.raises(PermanentError):
                await api.send("1", PAYLOAD)
    assert caplog.records
    assert TOKEN not in caplog.text
