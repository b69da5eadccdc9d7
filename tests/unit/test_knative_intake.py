"""What a dispatcher is answered: done, try again, kept, or nobody's loss. Most 4xx would lose the event."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.adapters.bus.knative import LARGEST, DeadLetterSink, KnativeBus, KnativeIntake, read_overrides
from agent_store.kernel import cloudevents
from agent_store.kernel.bus import Bus
from agent_store.kernel.errors import InvalidInput, TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.signing import Signer
from tests.support.events_http import (
    PARENT,
    SIGNER,
    CountedMetrics,
    FakeIntake,
    FakeServices,
    Graveyard,
    call,
    event,
    signed,
)
from tests.support.kernel import until


class Door:
    """A bus with a fake intake behind its two applications."""

    def __init__(self, intake: FakeIntake, *, within: float = 5, services: FakeServices | None = None) -> None:
        self.intake = intake
        self.dead = Graveyard()
        self.metrics = CountedMetrics()
        services = services or FakeServices()
        self.bus = KnativeBus(
            "http://broker/", signer=SIGNER, addresses=services, dead=self.dead, metrics=self.metrics,
            answer_within=timedelta(seconds=within),
        )  # fmt: skip
        self.app = KnativeIntake(self.bus)
        self.sink = DeadLetterSink(self.bus, services)


async def opened(intake: FakeIntake | None = None, **settings: Any) -> Door:
    door = Door(intake or FakeIntake(), **settings)
    bus: Bus = door.bus
    await bus.start(door.intake, [])
    return door


def batch(*events: Envelope) -> tuple[dict[str, str], bytes]:
    return {"content-type": cloudevents.BATCH}, cloudevents.to_batch([SIGNER.sign(value) for value in events])


# --- 2xx -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/events"])
async def test_a_handled_event_is_answered_202_without_a_body(path: str) -> None:
    door = await opened()
    answer = await call(door.app, *signed(event()), path=path)
    assert (answer.status, answer.body, answer.headers) == (202, b"", {"content-length": "0"})
    assert door.intake.calls == [("1", None, "handled")]
    assert door.intake.received[0].data == event().data


async def test_all_three_modes_are_taken() -> None:
    door = await opened()
    whole = {"content-type": cloudevents.STRUCTURED}, cloudevents.to_structured(SIGNER.sign(event("2")))
    for request in (signed(event("1")), whole, batch(event("3"), event("4")), batch()):
        assert (await call(door.app, *request)).status == 202
    assert door.intake.ids == ["1", "2", "3", "4"]


async def test_a_body_in_pieces_is_one_body() -> None:
    door = await opened()
    headers, body = signed(event())
    assert (await call(door.app, headers, [body[:3], body[3:], b""])).status == 202
    assert door.intake.received[0].data == body


async def test_a_steward_names_the_consumer_that_has_missed_an_event() -> None:
    door = await opened()
    assert (await call(door.app, *signed(event()), path="/events", query="consumer=seller%2Ffashion")).status == 202
    assert door.intake.calls == [("1", "seller/fashion", "handled")]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
async def test_headers_that_a_broker_has_not_encoded_are_read(encoding: str) -> None:
    door = await opened()
    headers, body = signed(event(subject="ação"))
    answer = await call(door.app, {**headers, "ce-subject": "ação"}, body, encoding=encoding)
    assert (answer.status, door.intake.received[0].subject) == (202, "ação")


async def test_the_trace_comes_from_the_http_header_where_the_broker_has_lost_the_attribute() -> None:
    door = await opened()
    headers, body = signed(event())
    await call(door.app, {**headers, "traceparent": PARENT, "tracestate": "a=1"}, body)
    await call(door.app, {**headers, "traceparent": PARENT, "tracestate": ""}, body)
    await call(door.app, {**headers, "traceparent": "rubbish"}, body)
    headers, body = signed(event(traceparent=PARENT.replace("-01", "-00"), tracestate="b=2"))
    await call(door.app, {**headers, "traceparent": PARENT, "tracestate": "a=1"}, body)
    assert [(each.traceparent, each.tracestate) for each in door.intake.received] == [
        (PARENT, "a=1"),
        (PARENT, None),
        (None, None),
        (PARENT.replace("-01", "-00"), "b=2"),
    ]


async def test_what_brokers_add_does_not_break_the_signature() -> None:
    door = await opened()
    headers, body = signed(event())
    headers |= {
        "ce-knativearrivaltime": "2026-01-05T12:00:00Z",
        "ce-cluster": "one",
        "ce-time": "2026-01-05T12:00:00.25Z",
    }
    assert (await call(door.app, headers, body)).status == 202
    assert door.intake.received[0].extensions["cluster"] == "one"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ce-id": ""}, "id: is required"),
        ({"ce-specversion": "0.3"}, "specversion: '0.3' is not supported"),
        ({"ce-sequence": "first"}, "sequence: 'first' is no whole number"),
        ({"content-type": "application/cloudevents+avro"}, "only application/cloudevents"),
        ({"content-type": cloudevents.STRUCTURED}, "the body is no JSON|specversion"),
    ],
)
async def test_an_event_that_cannot_be_read_is_kept_and_answered_202(changes: dict[str, str], sentence: str) -> None:
    door = await opened()
    headers, body = signed(event(data=b"[broken"))
    answer = await call(door.app, {**headers, **changes, "cookie": "secret", "authorization": "secret"}, body)
    assert answer.status == 202
    (kept,) = door.dead.kept
    assert (kept.event, kept.body, kept.consumers) == (None, b"[broken", ())
    assert "cannot be read" in kept.reason
    assert kept.headers == {name: value for name, value in {**headers, **changes}.items() if name != "host"}
    assert door.intake.received == []
    assert door.metrics.counted == {"unreadable_event": 1}


# --- 503 -----------------------------------------------------------------------------------------------------------


async def test_what_may_work_later_is_answered_503_with_a_time() -> None:
    async def handle(_: Envelope) -> None:
        raise TemporaryError("the database is away", retry_after=timedelta(seconds=2.5))

    door = await opened(FakeIntake(handle))
    answer = await call(door.app, *signed(event()))
    assert (answer.status, answer.headers["retry-after"], answer.body) == (503, "3", b"")


async def test_one_event_of_a_batch_that_must_come_again_brings_the_batch_again() -> None:
    async def handle(value: Envelope) -> None:
        if value.id == "2":
            raise TemporaryError("not now")

    door = await opened(FakeIntake(handle))
    assert (await call(door.app, *batch(event("1"), event("2"), event("3")))).status == 503
    assert door.intake.handled == ["1", "3"]


async def test_a_handling_that_takes_too_long_is_answered_503_and_goes_on() -> None:
    release = asyncio.Event()

    async def handle(_: Envelope) -> None:
        await release.wait()

    door = await opened(FakeIntake(handle), within=0.02)
    answer = await call(door.app, *signed(event()))
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "connection" not in answer.headers
    assert door.bus.open == 1
    release.set()
    await until(lambda: door.intake.handled == ["1"] and door.bus.open == 0)
    assert door.metrics.counted == {"knative_answer_late": 1}


async def test_a_late_failure_is_nobodys_surprise() -> None:
    release = asyncio.Event()

    async def handle(value: Envelope) -> None:
        await release.wait()
        raise TemporaryError("busy") if value.id == "1" else RuntimeError("a bug")

    door = await opened(FakeIntake(handle), within=0.02)
    assert (await call(door.app, *batch(event("1"), event("2")))).status == 503
    release.set()
    await until(lambda: door.bus.open == 0)


async def test_a_dispatcher_that_hangs_up_does_not_stop_the_handling() -> None:
    release = asyncio.Event()

    async def handle(_: Envelope) -> None:
        await release.wait()

    door = await opened(FakeIntake(handle))
    request = asyncio.create_task(call(door.app, *signed(event())))
    await until(lambda: door.bus.open == 1)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    release.set()
    await until(lambda: door.intake.handled == ["1"])


async def test_a_process_that_drains_sends_new_requests_elsewhere_and_answers_the_open_ones() -> None:
    release = asyncio.Event()

    async def handle(_: Envelope) -> None:
        await release.wait()

    door = await opened(FakeIntake(handle))
    request = asyncio.create_task(call(door.app, *signed(event())))
    await until(lambda: door.bus.open == 1)
    await door.bus.drain()
    answer = await call(door.app, *signed(event("2")))
    assert (answer.status, answer.headers["connection"], door.intake.ids) == (503, "close", ["1"])
    release.set()
    assert (await request).status == 202
    await door.bus.stop()
    assert (await call(door.app, *signed(event("2")))).status == 503


async def test_before_its_start_a_process_takes_nothing() -> None:
    door = Door(FakeIntake())
    for app in (door.app, door.sink):
        assert (await call(app, *signed(event()))).status == 503
        assert (await call(app, {"ce-specversion": "1.0"}, b"")).status == 503
    assert (door.intake.received, door.dead.kept) == ([], [])


async def test_an_unreadable_event_that_cannot_be_kept_comes_again() -> None:
    door = await opened()
    door.dead.trouble = TemporaryError("the database is away")
    assert (await call(door.app, {"ce-specversion": "1.0"}, b"")).status == 503


async def test_a_bug_is_the_servers_500_and_the_brokers_to_keep() -> None:
    async def handle(_: Envelope) -> None:
        raise RuntimeError("a bug")

    door = await opened(FakeIntake(handle))
    with pytest.raises(RuntimeError, match="a bug"):  # uvicorn makes it a 500
        await call(door.app, *signed(event()))


# --- nobody's loss -------------------------------------------------------------------------------------------------


async def test_a_stranger_gets_nothing() -> None:
    door = await opened()
    unsigned = cloudevents.to_headers(event()), event().data
    other = Signer([("k1", b"another secret of thirty-two bytes")]).sign(event())
    headers, body = signed(event())
    for request in (
        unsigned,
        (cloudevents.to_headers(other), other.data),
        ({**headers, "ce-brand": "gaming"}, body),
        (headers, body + b" "),
        ({"content-type": cloudevents.BATCH}, cloudevents.to_batch([SIGNER.sign(event("1")), event("2")])),
    ):
        assert (await call(door.app, *request)).status == 403
    assert (door.intake.received, door.dead.kept) == ([], [])
    assert door.metrics.counted == {"bad_signature": 5, "event_refused reason=bad-signature": 5}


async def test_what_is_no_event_is_refused_and_not_kept() -> None:
    door = await opened()
    assert (await call(door.app, {"content-type": "application/json"}, b"{}")).status == 415
    assert (await call(door.app, {}, b"")).status == 415
    answer = await call(door.app, {}, b"", method="GET")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert (door.intake.received, door.dead.kept) == ([], [])


async def test_what_is_too_large_is_refused_before_it_is_read() -> None:
    door = await opened()
    headers, _ = signed(event())
    assert (await call(door.app, {**headers, "content-length": str(LARGEST + 1)}, b"")).status == 413
    assert (await call(door.app, {**headers, "content-length": "9" * 13}, b"")).status == 413
    assert (await call(door.app, headers, b"x" * (LARGEST + 1))).status == 413
    assert (await call(door.app, headers, [b"x" * LARGEST, b"x", b"never read"])).status == 413
    assert (await call(door.app, *signed(event(data=b"x" * LARGEST)))).status == 202


async def test_a_caller_that_goes_away_before_its_end_is_not_answered() -> None:
    door = await opened()
    assert (await call(door.app, signed(event())[0], b"{", breaks_off=True)).status == 0
    assert door.intake.received == []


async def test_only_http_comes_here() -> None:
    door = await opened()
    with pytest.raises(RuntimeError, match="not by websocket"):
        await door.app({"type": "websocket"}, None, None)  # type: ignore[arg-type]


@given(
    st.dictionaries(
        st.sampled_from(["ce-id", "ce-source", "ce-type", "ce-specversion", "ce-sig", "content-type", "traceparent"]),
        st.text(st.characters(max_codepoint=0x2FF, exclude_categories=("Cs",)), max_size=20)
        | st.sampled_from(["1.0", cloudevents.STRUCTURED, cloudevents.BATCH, "application/json", "/a"]),
    ),
    st.binary(max_size=50) | st.sampled_from([b"{}", b"[]", b"[{}]", b'{"specversion":"1.0"}']),
)
async def test_anything_gets_an_answer_and_nothing_unsigned_gets_in(headers: dict[str, str], body: bytes) -> None:
    door = await opened()
    answer = await call(door.app, headers, body)
    assert answer.status in (202, 403, 415)
    assert door.intake.received == []


# --- the dead-letter sink ------------------------------------------------------------------------------------------

URL = "http://order-processor.store.svc.cluster.local"


def died(**extensions: str) -> tuple[dict[str, str], bytes]:
    headers, body = signed(event())
    return {**headers, **{f"ce-{name}": value for name, value in extensions.items()}}, body


@pytest.mark.parametrize(
    ("extensions", "reason", "consumers", "code"),
    [
        ({"knativeerrordest": URL + "/", "knativeerrorcode": "500"}, f"{URL}/ answered 500", ("cart", "orders"), 500),
        ({"knativeerrordest": URL, "knativeerrorcode": "-1"}, f"{URL} gave no answer in time, or none at all",
         ("cart", "orders"), -1),
        ({"knativeerrordest": f"{URL}/events?consumer=orders", "knativeerrorcode": "503", "knativeerrordata": "x"},
         f"{URL}/events?consumer=orders answered 503: x", ("orders",), 503),
        ({"knativeerrordest": "http://[", "knativeerrorcode": "5"}, "http://[ answered 5", (), 5),
        ({"knativeerrordest": "http://gone/", "knativeerrorcode": "404"}, "http://gone/ answered 404", (), 404),
        ({"knativeerrorcode": "many"}, "the broker could not deliver it", (), None),
        ({}, "the broker could not deliver it", (), None),
    ],
)  # fmt: skip
async def test_a_dead_event_is_kept_with_whom_it_did_not_reach(
    extensions: dict[str, str], reason: str, consumers: tuple[str, ...], code: int | None
) -> None:
    door = await opened(services=FakeServices({"cart": URL, "orders": URL}))
    answer = await call(door.sink, *died(**extensions), path="/dead-letters")
    assert (answer.status, answer.body) == (202, b"")
    (kept,) = door.dead.kept
    assert kept.event is not None
    assert (kept.event.id, kept.event.data, kept.body) == ("1", event().data, event().data)
    assert (kept.reason, kept.consumers, kept.code) == (reason, consumers, code)
    assert kept.service == ("shop" if consumers else None)
    assert door.intake.received == []


async def test_a_dead_event_that_cannot_be_kept_now_stays_with_the_broker() -> None:
    door = await opened()
    door.dead.trouble = TemporaryError("the database is away", retry_after=timedelta(seconds=4))
    answer = await call(door.sink, *died())
    assert (answer.status, answer.headers["retry-after"]) == (503, "4")


async def test_a_dead_event_that_cannot_be_read_is_kept_as_it_came() -> None:
    door = await opened()
    assert (await call(door.sink, {"ce-specversion": "1.0", "ce-knativeerrorcode": "500"}, b"\xff")).status == 202
    (kept,) = door.dead.kept
    assert (kept.event, kept.body) == (None, b"\xff")
    assert kept.reason == "an event that died cannot be read: id: is required and must not be empty"


async def test_a_strangers_dead_event_is_not_kept() -> None:
    door = await opened()
    assert (await call(door.sink, cloudevents.to_headers(event()), event().data)).status == 403
    assert (await call(door.sink, {}, b"hello")).status == 415
    assert door.dead.kept == []


# --- K_CE_OVERRIDES ------------------------------------------------------------------------------------------------


def test_overrides_are_read_as_a_sink_binding_sets_them() -> None:
    assert read_overrides('{"extensions": {"cluster": "one", "x2": "a b"}}') == {"cluster": "one", "x2": "a b"}
    for nothing in (None, "", " ", "{}", '{"extensions": null}', '{"extensions": {}}'):
        assert read_overrides(nothing) == {}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("{", "K_CE_OVERRIDES is no JSON"),
        ("[]", "K_CE_OVERRIDES: .* is expected"),
        ({"extensions": ["a"]}, "K_CE_OVERRIDES: .* is expected"),
        ({"extensions": {"brand": "home"}}, "brand is set by the store itself"),
        ({"extensions": {"sig": "x"}}, "sig is set by the store itself"),
        ({"extensions": {"id": "x"}}, "id is set by the store itself"),
        ({"extensions": {"Cluster": "x"}}, "'Cluster' is no attribute name"),
        ({"extensions": {"cluster": 5}}, "cluster: a text on one line"),
        ({"extensions": {"cluster": "a\r\nb"}}, "cluster: a text on one line"),
    ],
)
def test_overrides_that_make_no_sense_stop_the_start(value: object, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        read_overrides(value if isinstance(value, str) else json.dumps(value))


def test_an_address_that_is_none_stops_the_start() -> None:
    for sink in ("", "broker:80", "ftp://broker/", "http://", "http://broker:port/", "http://me:secret@broker/"):
        with pytest.raises(InvalidInput, match="is no address"):
            KnativeBus(sink, signer=SIGNER, addresses=FakeServices(), dead=Graveyard())
