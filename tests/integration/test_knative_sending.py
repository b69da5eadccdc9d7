"""The Knative bus towards its sink: one event a request, true only on a 2xx, whatever the sink does; and the client."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent_store.adapters.bus.knative import KnativeBus, read_trust
from agent_store.adapters.bus.posting import LARGEST_ANSWER, Poster, Target
from agent_store.kernel import cloudevents
from agent_store.kernel.errors import InvalidInput
from tests.support.events_http import (
    ACCEPTED,
    NOW,
    PARENT,
    SIGNER,
    CountedMetrics,
    FakeServices,
    Graveyard,
    Script,
    event,
)
from tests.support.kernel import until


def status(code: int, *headers: str, body: bytes = b"") -> bytes:
    lines = "".join(f"{line}\r\n" for line in (f"content-length: {len(body)}", *headers))
    return f"HTTP/1.1 {code} X\r\n{lines}\r\n".encode() + body


def bus_to(url: str, *, seconds: float = 5, services: FakeServices | None = None, **settings: Any) -> KnativeBus:
    return KnativeBus(
        url, signer=SIGNER, addresses=services or FakeServices(), dead=Graveyard(),
        publish_timeout=timedelta(seconds=seconds), **settings,
    )  # fmt: skip


def read(request: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first, dict(line.split(": ", 1) for line in lines), body


# --- publish -------------------------------------------------------------------------------------------------------


async def test_an_event_is_one_signed_request_in_binary_mode() -> None:
    async with Script() as sink:
        bus = bus_to(sink.url, overrides={"cluster": "ção"})
        sent = event(subject='pedido nº 1 "é"', traceparent=PARENT, tracestate="a=1", brand="home", sequence=4)
        assert await bus.publish([sent]) == [True]
        await bus.stop()
    first, headers, body = read(sink.requests[0])
    assert first == "POST / HTTP/1.1"
    assert (headers["traceparent"], headers["tracestate"], headers["content-type"]) == (
        PARENT,
        "a=1",
        "application/json",
    )
    assert headers["host"] == sink.url[7:-1]
    assert all(line.isascii() for line in headers.values())
    (came,) = cloudevents.from_http(headers, body, now=NOW)
    SIGNER.check(came)
    assert came.extensions.pop("cluster") == "ção"  # type: ignore[attr-defined]  # a dict
    assert came == SIGNER.sign(sent)


async def test_nothing_to_publish_is_published() -> None:
    assert await bus_to("http://127.0.0.1:1/").publish([]) == []


async def test_many_events_share_a_few_kept_connections() -> None:
    async with Script() as sink:
        bus = bus_to(sink.url, concurrency=3)
        assert await bus.publish([event(str(number)) for number in range(40)]) == [True] * 40
        assert await bus.publish([event("40")]) == [True]
        assert sink.connections <= 3
        await bus.stop()
    ids = {read(request)[1]["ce-id"] for request in sink.requests}
    assert ids == {str(number) for number in range(41)}


@pytest.mark.parametrize(
    "trouble",
    [
        status(500), status(503, "retry-after: 0"), status(429), status(408), status(404), None, b"rubbish\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\nContent-Le", status(500, "connection: close"),
        status(200, body=b"x" * (LARGEST_ANSWER + 1)),
    ],
)  # fmt: skip
async def test_what_passes_is_tried_again(trouble: bytes | None) -> None:
    async with Script(trouble, trouble) as sink:
        bus = bus_to(sink.url)
        assert await bus.publish([event()]) == [True]
        await bus.stop()
    assert len(sink.requests) >= 2
    assert len({read(request)[2] for request in sink.requests}) == 1


@pytest.mark.parametrize("code", [301, 400, 401, 403, 413])
async def test_a_refusal_is_not_tried_again_and_counted(code: int) -> None:
    metrics = CountedMetrics()
    async with Script(status(code), ACCEPTED) as sink:
        bus = bus_to(sink.url, metrics=metrics, concurrency=1)
        assert await bus.publish([event("1"), event("2")]) == [False, True]
        await bus.stop()
    assert len(sink.requests) == 2
    assert metrics.counted == {"knative_publish_refused": 1}


async def test_an_event_that_no_header_can_hold_is_refused_alone() -> None:
    metrics = CountedMetrics()
    async with Script() as sink:
        bus = bus_to(sink.url, metrics=metrics)
        assert await bus.publish([event("1"), event("2", subject="\ud800"), event("3")]) == [True, False, True]
        await bus.stop()
    assert metrics.counted == {"knative_publish_refused": 1}


async def test_a_sink_that_is_away_says_no_in_time_and_yes_when_it_is_back() -> None:
    metrics = CountedMetrics()
    async with Script() as sink:
        url = sink.url
    bus = bus_to(url, seconds=0.3, metrics=metrics, concurrency=2)
    assert await bus.publish([event(str(number)) for number in range(5)]) == [False] * 5
    assert metrics.counted == {"knative_publish_failed": 5}
    async with Script() as sink:
        back = bus_to(sink.url)
        assert await back.publish([event()]) == [True]
        await back.stop()
    await bus.stop()


async def test_a_sink_that_hangs_leaves_time_for_a_second_try() -> None:
    never = asyncio.Event()
    async with Script(never, ACCEPTED) as sink:
        bus = bus_to(sink.url, seconds=4)
        assert await bus.publish([event()]) == [True]
        assert len(sink.requests) == 2
        await bus.stop()


async def test_a_sink_that_hangs_for_good_says_no_in_time() -> None:
    metrics = CountedMetrics()
    async with Script(*(asyncio.Event() for _ in range(9))) as sink:
        bus = bus_to(sink.url, seconds=0.2, metrics=metrics, concurrency=2)
        async with asyncio.timeout(5):
            assert await bus.publish([event("1"), event("2"), event("3")]) == [False] * 3
        assert metrics.counted == {"knative_publish_failed": 3}
        await bus.stop()


async def test_a_hint_to_wait_longer_than_there_is_time_is_a_no_at_once() -> None:
    async with Script(status(503, "Retry-After: 60")) as sink:
        bus = bus_to(sink.url)
        async with asyncio.timeout(2):
            assert await bus.publish([event()]) == [False]
        assert len(sink.requests) == 1
        await bus.stop()


async def test_a_kept_connection_that_the_sink_has_closed_costs_no_try() -> None:
    async with Script() as sink:
        bus = bus_to(sink.url, seconds=5)
        assert await bus.publish([event("1")]) == [True]
        sink.drop()
        assert await bus.publish([event("2")]) == [True]
        assert sink.connections == 2
        await bus.stop()


async def test_a_bus_that_has_stopped_sends_nothing() -> None:
    async with Script() as sink:
        bus = bus_to(sink.url, seconds=0.2)
        await bus.stop()
        assert await bus.publish([event()]) == [False]
    assert sink.requests == []


# --- redeliver -----------------------------------------------------------------------------------------------------


async def test_a_missed_event_goes_straight_to_its_consumer() -> None:
    async with Script() as service:
        bus = bus_to(
            "http://broker/", services=FakeServices({"seller/fashion": service.url[:-1]}), overrides={"x": "y"}
        )
        assert await bus.redeliver("seller/fashion", event(traceparent=PARENT))
        await bus.stop()
    first, headers, body = read(service.requests[0])
    assert first == "POST /events?consumer=seller%2Ffashion HTTP/1.1"
    assert (headers["traceparent"], "ce-x" in headers) == (PARENT, False)
    (came,) = cloudevents.from_http(headers, body, now=NOW)
    SIGNER.check(came)


async def test_a_redelivery_that_is_not_taken_says_no() -> None:
    metrics = CountedMetrics()
    never = asyncio.Event()
    async with Script(status(503), status(403), None, None, never) as service:
        services = FakeServices({"orders": service.url[:-1], "lost": "http://no address"})
        bus = bus_to(
            "http://broker/", seconds=0.5, services=services, metrics=metrics, answer_within=timedelta(seconds=0.5)
        )
        for _ in range(4):
            assert not await bus.redeliver("orders", event())
        assert len(service.requests) == 5, "a kept connection that broke, then a new one"
        assert not await bus.redeliver("lost", event())
        assert not await bus.redeliver("catalog", event())
        assert not await bus.redeliver("orders", event(subject="\ud800"))
        await bus.stop()
    assert metrics.counted == {"knative_no_address": 1, "knative_publish_refused": 1}


# --- the client ----------------------------------------------------------------------------------------------------


async def ask(poster: Poster, url: str, body: bytes = b"") -> tuple[int, float | None, bytes]:
    async with asyncio.timeout(5):
        answer = await poster.post(Target.of(url), b"a: b\r\n", body)
    return answer.status, answer.retry_after, answer.body


async def test_every_shape_of_an_answer_is_understood() -> None:
    async with Script(
        b"HTTP/1.1 100 Continue\r\n\r\n" + status(200, body=b"later"),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        status(429, "Retry-After: 7"),
        status(503, "retry-after: Fri, 21 Nov 2026 07:28:00 GMT"),
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.0 204 No Content\r\n\r\n",
    ) as server:
        poster = Poster(concurrency=1)
        assert await ask(poster, server.url) == (200, None, b"later")
        assert await ask(poster, server.url) == (200, None, b"abcde")
        assert await ask(poster, server.url) == (429, 7, b"")
        assert await ask(poster, server.url) == (503, None, b"")
        assert server.connections == 1
        assert await ask(poster, server.url) == (200, None, b"until the end")
        assert await ask(poster, server.url) == (204, None, b"")
        assert await ask(poster, server.url) == (202, None, b"")
        poster.close()


async def test_an_answer_that_nobody_has_asked_for_is_no_answer() -> None:
    async with Script(ACCEPTED + status(500), ACCEPTED) as server:
        poster = Poster(concurrency=1)
        assert (await ask(poster, server.url))[0] == 202
        assert (await ask(poster, server.url))[0] == 202
        server.say(status(500))
        await until(lambda: not any(connection.open for connection in poster._all))
        assert (await ask(poster, server.url))[0] == 202
        poster.close()


async def test_a_question_that_is_given_up_takes_its_connection_with_it() -> None:
    never = asyncio.Event()
    async with Script(never) as server:
        poster = Poster(concurrency=1)
        question = asyncio.create_task(poster.post(Target.of(server.url), b"", b""))
        await until(lambda: len(server.requests) == 1)
        question.cancel()
        with pytest.raises(asyncio.CancelledError):
            await question
        never.set()
        assert (await ask(poster, server.url, b"another"))[0] == 202
        assert server.connections == 2
        poster.close()


async def test_nobody_there_is_an_oserror() -> None:
    async with Script() as server:
        url = server.url
    poster = Poster()
    for address in (url, "http://no-such-host.invalid/"):
        with pytest.raises(OSError, match=r"."):
            await ask(poster, address)
    poster.close()


async def test_https_is_believed_only_from_those_that_are_trusted(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    own.load_cert_chain(certificate, key)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ACCEPTED)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=own)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}/"
    trusting = Poster(tls=read_trust(certificate.read_text()))
    assert (await ask(trusting, url))[0] == 202
    doubting = Poster()
    with pytest.raises(ssl.SSLCertVerificationError):
        await ask(doubting, url)
    server.close()
    trusting.close()
    doubting.close()


def test_an_address_is_taken_apart() -> None:
    target = Target.of("https://broker.store.svc/a b/é?c=d e")
    assert (target.host, target.port, target.tls, target.path) == (
        "broker.store.svc", 443, True, "/a%20b/%C3%A9?c=d%20e",
    )  # fmt: skip
    assert Target.of("http://[::1]:8080").key == ("::1", 8080, False)
    assert Target.of("http://broker").path == "/"
    with pytest.raises(InvalidInput, match="is no address"):
        Target.of("broker")


def test_the_brokers_certificates_are_read_as_a_sink_binding_sets_them() -> None:
    assert read_trust(None) is None
    assert read_trust(" ") is None
    with pytest.raises(InvalidInput, match="K_CA_CERTS holds no certificates"):
        read_trust("-----BEGIN CERTIFICATE-----\nrubbish")
