"""The gateway in a store: deliveries in once, sends out at most once, statuses forward only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from agent_store.agents.whatsapp import intake, tables
from agent_store.agents.whatsapp.agent import whatsapp
from agent_store.agents.whatsapp.api import sign, webhook
from agent_store.agents.whatsapp.model import Delivery
from agent_store.agents.whatsapp.ports import MediaSettings, SendInDoubt, WhatsAppApi, WhatsAppSettings
from agent_store.agents.whatsapp.reading import parse
from agent_store.contracts.brands import Brand, Directory, SharedNumber
from agent_store.contracts.whatsapp import (
    GetUncertainSends,
    OutChoice,
    OutContent,
    OutList,
    OutText,
    WhatsAppMessageReceived,
    WhatsAppMessageSend,
    WhatsAppStatus,
)
from agent_store.kernel.errors import PermanentError, TemporaryError
from agent_store.kernel.ids import ConversationId, CustomerId
from agent_store.kernel.limits import NoLimits, RateLimiter
from agent_store.kernel.sql import insert
from agent_store.kernel.store import Unit
from agent_store.kernel.tool import Principal
from tests.support.store import TestStore

FIXTURES = Path(__file__).parent.parent / "fixtures" / "whatsapp"
FASHION, TECH = "219870000000001", "219870000000002"
OUT = "wamid.HBgMT1VUMDAwMDAwMQ=="
SETTINGS = WhatsAppSettings(
    app_secret="app-secret", verify_token="v", access_token="t", graph_url="http://graph", public_url="http://shop"
)
STAFF = Principal(staff="Rita")


class Brands:
    """A directory of two brands."""

    shared = SharedNumber()

    def brands(self) -> Sequence[Brand]:
        return (
            Brand(id="fashion", name="Moda", seller="Luna", phone_number_ids=(FASHION,)),
            Brand(id="tech", name="Tech", seller="Max", phone_number_ids=(TECH,)),
        )

    def brand(self, brand_id: str) -> Brand | None:
        return next((brand for brand in self.brands() if brand.id == brand_id), None)

    def by_number(self, phone_number_id: str) -> Brand | None:
        return next((brand for brand in self.brands() if phone_number_id in brand.phone_number_ids), None)

    def is_known(self, phone_number_id: str) -> bool:
        return self.by_number(phone_number_id) is not None

    def house_prompt(self) -> str:
        return ""


class Graph:
    """A Graph API that does what it is told, then takes everything."""

    def __init__(self, *script: Exception | str | Callable[[], Awaitable[str]]) -> None:
        self.script = list(script)
        self.sent: list[Mapping[str, Any]] = []

    async def send(self, phone_number_id: str, payload: Mapping[str, Any]) -> str:
        self.sent.append(payload)
        answer = self.script.pop(0) if self.script else f"wamid.OUT{len(self.sent)}"
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, str) else await answer()


def gateway(graph: Graph | None = None, **more: Any) -> TestStore:
    ports = {
        Directory: Brands(), WhatsAppApi: graph or Graph(), WhatsAppSettings: SETTINGS, RateLimiter: NoLimits(),
        MediaSettings: MediaSettings(),
    }  # fmt: skip
    return TestStore([whatsapp], ports=ports, **more)


class Intake:
    def __init__(self, store: TestStore) -> None:
        self.store = store

    async def accept(self, delivery: Delivery) -> None:
        await self.store.runtime.transact("whatsapp", lambda tx: intake.record(tx, delivery))


async def deliver(store: TestStore, name: str) -> None:
    await Intake(store).accept(parse((FIXTURES / f"{name}.json").read_bytes()))
    await store.settle()


def command(text: str = "Olá!", number: int = 1, content: OutContent | None = None) -> WhatsAppMessageSend:
    return WhatsAppMessageSend(
        send_id=f"send-{number:04}",
        conversation_id=ConversationId("conversation-1"),
        customer_id=CustomerId("customer-1"),
        number=number,
        phone_number_id=FASHION,
        to="5511988880001",
        content=content or OutText(text=text),
    )


async def order(store: TestStore, wanted: WhatsAppMessageSend) -> None:
    """Send to a customer who has just written."""
    row = {
        "wamid": f"wamid.HEARD{wanted.number}", "phone_number_id": wanted.phone_number_id, "sender": wanted.to,
        "kind": "text", "raw": "{}", "sent_at": store.clock.now(), "received_at": store.clock.now(),
    }  # fmt: skip

    async def hear(unit: Unit) -> None:
        await unit.db.run(insert(tables.messages).on_conflict_do_nothing(), row)

    await store.runtime.store.run(hear)
    await store.publish(wanted)


async def states(store: TestStore) -> list[str]:
    return [row["state"] for row in await store.rows(select(tables.sends).order_by(tables.sends.c.number))]


def told(store: TestStore) -> list[str]:
    return [status.status for status in store.events(WhatsAppStatus)]


# --- in ----------------------------------------------------------------------------------------------------------


async def test_a_delivery_is_told_once_a_message_with_channel_and_brand() -> None:
    async with gateway() as store:
        await deliver(store, "several")
        received = [envelope for envelope in store.envelopes if envelope.type.endswith("message.received")]
        assert [(e.brand, e.channel, e.partitionkey) for e in received] == [
            ("fashion", "whatsapp", "5511988880001"),
            ("fashion", "whatsapp", "5511988880001"),
            ("tech", "whatsapp", "5521977770002"),
        ]
        assert [m.content.text for m in store.events(WhatsAppMessageReceived)] == [
            "oi",
            "tudo bem?",
            "quanto custa o fone?",
        ]


async def test_the_same_wamid_any_number_of_times_is_one_message() -> None:
    async with gateway() as store:
        for name in ("text", "text", "text"):
            await deliver(store, name)
        await store.kill_and_restart()
        await deliver(store, "text")
        assert len(store.events(WhatsAppMessageReceived)) == 1
        assert len(await store.rows(select(tables.messages))) == 1


async def test_fifty_concurrent_deliveries_of_one_wamid_are_one_message() -> None:
    async with gateway() as store:
        app = webhook(Intake(store), SETTINGS)
        body = (FIXTURES / "text.json").read_bytes()
        headers = {"X-Hub-Signature-256": sign("app-secret", body)}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
            posts = [http.post("http://store/webhooks/whatsapp", content=body, headers=headers) for _ in range(50)]
            answers = await asyncio.gather(*posts)
        await store.settle()
        assert {answer.status_code for answer in answers} == {200}
        assert len(store.events(WhatsAppMessageReceived)) == 1


async def test_an_unsupported_kind_is_stored_and_told() -> None:
    async with gateway() as store:
        await deliver(store, "unsupported")
        (message,) = store.events(WhatsAppMessageReceived)
        assert (message.kind, message.content.unsupported_type) == ("unsupported", "poll")
        (row,) = await store.rows(select(tables.messages))
        assert '"poll"' in row["raw"]


async def test_a_customer_with_only_a_scoped_id_is_told_as_such() -> None:
    async with gateway() as store:
        await deliver(store, "bsuid")
        (message,) = store.events(WhatsAppMessageReceived)
        assert (message.sender, message.wa_id) == ("BR.90817263544536271809", None)


async def test_a_message_of_nobody_is_stored_and_not_told() -> None:
    async with gateway() as store:
        body = b'{"entry":[{"changes":[{"value":{"messages":[{"type":"text","text":{"body":"oi"}}]}}]}]}'
        await Intake(store).accept(parse(body))
        await store.settle()
        assert store.events(WhatsAppMessageReceived) == []
        (row,) = await store.rows(select(tables.messages))
        assert row["kind"] == "text"


@pytest.mark.parametrize("name", sorted(path.stem for path in FIXTURES.glob("*.json")))
async def test_every_fixture_is_taken_through_the_webhook(name: str) -> None:
    async with gateway() as store:
        body = (FIXTURES / f"{name}.json").read_bytes()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(webhook(Intake(store), SETTINGS))) as http:
            headers = {"X-Hub-Signature-256": sign("app-secret", body)}
            answer = await http.post("http://store/webhooks/whatsapp", content=body, headers=headers)
        assert answer.status_code == 200
        await store.settle()
        assert await store.dead() == []


# --- out ---------------------------------------------------------------------------------------------------------


async def test_a_send_goes_out_with_its_id_and_is_told_as_sent() -> None:
    graph = Graph(OUT)
    async with gateway(graph) as store:
        await order(store, command())
        await store.settle()
        assert [payload["biz_opaque_callback_data"] for payload in graph.sent] == ["send-0001"]
        (status,) = store.events(WhatsAppStatus)
        assert (status.send_id, status.status, status.wamid) == ("send-0001", "sent", OUT)
        assert store.envelopes[-1].brand == "fashion"
        assert store.envelopes[-1].channel == "whatsapp"


async def test_the_same_command_in_two_events_is_one_send() -> None:
    graph = Graph()
    async with gateway(graph) as store:
        await order(store, command())
        await order(store, command())
        await store.settle()
        assert len(graph.sent) == 1


async def test_a_customers_messages_go_out_in_their_order() -> None:
    graph = Graph()
    async with gateway(graph) as store:
        for number in (2, 3, 1):
            await order(store, command(f"mensagem {number}", number))
        await store.settle()
        assert [payload["text"]["body"] for payload in graph.sent] == ["mensagem 1", "mensagem 2", "mensagem 3"]


async def test_statuses_in_any_order_move_forward_only() -> None:
    async with gateway(Graph(OUT)) as store:
        await order(store, command())
        await store.settle()
        await deliver(store, "statuses_out_of_order")
        await deliver(store, "statuses_out_of_order")
        await deliver(store, "status_failed")
        assert told(store) == ["sent", "read"]
        assert await states(store) == ["read"]


async def test_a_failure_is_told_with_its_reason_and_is_the_end() -> None:
    async with gateway(Graph(OUT)) as store:
        await order(store, command())
        await store.settle()
        await deliver(store, "status_failed")
        await deliver(store, "statuses_out_of_order")
        assert told(store) == ["sent", "failed"]
        failed = store.events(WhatsAppStatus)[-1]
        assert failed.error_code == 131026
        assert failed.error is not None
        assert failed.error.startswith("Message undeliverable")


async def test_a_status_that_is_faster_than_the_answer_is_kept() -> None:
    async with gateway() as store:

        async def slow() -> str:
            await Intake(store).accept(parse((FIXTURES / "bsuid_status.json").read_bytes()))
            return OUT

        store.ports[WhatsAppApi].script.append(slow)  # type: ignore[attr-defined]
        await order(store, command())
        await store.settle()
        assert told(store) == ["delivered"]
        (row,) = await store.rows(select(tables.sends))
        assert (row["state"], row["wamid"]) == ("delivered", OUT)


async def test_a_status_that_names_only_the_wamid_finds_its_send_also_before_the_wamid_is_known() -> None:
    bare = b'{"entry":[{"changes":[{"value":{"metadata":{"phone_number_id":"1"},"statuses":[{"id":"%s","status":"%s"}]}}]}]}'
    async with gateway() as store:

        async def slow() -> str:
            await Intake(store).accept(parse(bare % (OUT.encode(), b"delivered")))
            return OUT

        store.ports[WhatsAppApi].script.append(slow)  # type: ignore[attr-defined]
        await order(store, command())
        await store.settle()
        await Intake(store).accept(parse(bare % (OUT.encode(), b"read")))
        await store.settle()
        assert told(store) == ["sent", "delivered", "read"]
        assert await store.rows(select(tables.strays)) == []


async def test_a_status_that_another_process_put_aside_while_its_send_ended_is_told_all_the_same() -> None:
    async with gateway() as store:
        await order(store, command())
        await store.settle()

        (send,) = await store.rows(select(tables.sends))

        async def put_aside(unit: Unit) -> None:  # neither transaction saw the other
            row = {
                "wamid": send["wamid"],
                "status": "delivered",
                "at": store.clock.now(),
                "received_at": store.clock.now(),
            }
            await unit.db.run(insert(tables.strays), row)

        await store.runtime.store.run(put_aside)
        assert told(store) == ["sent"]
        await store.move(timedelta(minutes=10))
        assert told(store) == ["sent", "delivered"]
        assert await store.rows(select(tables.strays)) == []


async def test_statuses_of_unknown_sends_are_kept_a_week_and_harm_nothing() -> None:
    async with gateway() as store:
        await deliver(store, "statuses_out_of_order")
        assert store.events(WhatsAppStatus) == []
        assert len(await store.rows(select(tables.strays))) == 3
        await store.move(timedelta(days=8))
        assert await store.rows(select(tables.strays)) == []


async def test_a_busy_platform_is_tried_again_until_it_takes_the_message() -> None:
    graph = Graph(TemporaryError("busy", retry_after=timedelta(seconds=30)), TemporaryError("down"), OUT)
    async with gateway(graph) as store:
        await order(store, command())
        await store.settle()
        assert await states(store) == ["queued"]
        await store.move(timedelta(seconds=20))
        assert len(graph.sent) == 1
        await store.move(timedelta(seconds=40))
        await store.move(timedelta(seconds=40))
        assert len(graph.sent) == 3
        assert told(store) == ["sent"]
        (row,) = await store.rows(select(tables.sends))
        assert (row["attempts"], row["error"]) == (3, None)


async def test_a_later_message_waits_for_an_earlier_one_that_is_tried_again() -> None:
    graph = Graph(TemporaryError("down"))
    async with gateway(graph) as store:
        await order(store, command("primeira", 1))
        await order(store, command("segunda", 2))
        async with asyncio.timeout(5):
            while store.runtime.dispatcher.next_due() is None:
                await asyncio.sleep(0)
        assert [payload["text"]["body"] for payload in graph.sent] == ["primeira"]
        await store.move(timedelta(minutes=1))
        assert [payload["text"]["body"] for payload in graph.sent] == ["primeira", "primeira", "segunda"]


async def test_a_refused_message_has_failed_with_the_platforms_words_and_is_not_tried_again() -> None:
    graph = Graph(PermanentError("WhatsApp refused the message: (#131030) not allowed", platform_code=131030))
    async with gateway(graph) as store:
        await order(store, command())
        await store.settle()
        await store.move(timedelta(hours=1))
        assert len(graph.sent) == 1
        (status,) = store.events(WhatsAppStatus)
        assert (status.status, status.error_code) == ("failed", 131030)
        assert await store.dead() == []


async def test_a_message_over_the_limits_has_failed_without_being_sent() -> None:
    graph = Graph()
    async with gateway(graph) as store:
        rows = (OutChoice(id="a", title="igual"), OutChoice(id="a", title="outro"))
        await order(store, command(content=OutList(text="?", button="Ver", choices=rows)))
        await store.settle()
        assert graph.sent == []
        assert told(store) == ["failed"]


# --- in doubt ----------------------------------------------------------------------------------------------------


async def test_an_answer_that_got_lost_is_decided_by_the_status() -> None:
    graph = Graph(SendInDoubt("no answer"))
    async with gateway(graph) as store:
        await order(store, command())
        await store.settle()
        assert await states(store) == ["doubtful"]
        assert told(store) == []
        await deliver(store, "bsuid_status")
        await store.move(timedelta(minutes=5))
        assert told(store) == ["delivered"]
        assert store.events(WhatsAppStatus)[0].wamid == OUT
        assert len(graph.sent) == 1


async def test_without_a_status_in_time_a_doubtful_send_is_uncertain_and_never_repeated() -> None:
    graph = Graph(SendInDoubt("no answer"))
    async with gateway(graph) as store:
        await order(store, command())
        await store.settle()
        await store.move(timedelta(seconds=19))
        assert told(store) == []
        await store.move(timedelta(seconds=2))
        assert told(store) == ["uncertain"]
        (lost,) = await store.call(GetUncertainSends(), STAFF)
        assert (lost.send_id, lost.reason) == ("send-0001", "no answer")
        await store.move(timedelta(days=1))
        assert len(graph.sent) == 1


async def test_a_status_that_comes_late_still_settles_an_uncertain_send() -> None:
    async with gateway(Graph(SendInDoubt("no answer"))) as store:
        await order(store, command())
        await store.settle()
        await store.move(timedelta(minutes=1))
        await deliver(store, "bsuid_status")
        assert told(store) == ["uncertain", "delivered"]
        assert await store.call(GetUncertainSends(), STAFF) == ()


async def test_a_doubtful_send_does_not_hold_up_the_next_one() -> None:
    graph = Graph(SendInDoubt("no answer"))
    async with gateway(graph) as store:
        await order(store, command("primeira", 1))
        await order(store, command("segunda", 2))
        await store.settle()
        assert await states(store) == ["doubtful", "sent"]


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_process_killed_during_the_call_does_not_send_again(arrived: bool) -> None:
    """The platform took the message, or never saw it; in both cases nobody here can know."""
    calling = asyncio.Event()

    async def hang() -> str:
        calling.set()
        await asyncio.Event().wait()
        raise AssertionError

    graph = Graph(hang)
    async with gateway(graph) as store:
        await order(store, command())
        await calling.wait()
        await store.kill_and_restart()
        await store.settle()
        assert len(graph.sent) == 1
        assert await states(store) == ["doubtful"]
        if arrived:
            await deliver(store, "statuses_out_of_order")
        await store.move(timedelta(minutes=1))
        await store.kill_and_restart()
        await store.move(timedelta(minutes=1))
        assert told(store) == (["read"] if arrived else ["uncertain"])
        assert len(graph.sent) == 1


async def test_a_process_killed_while_it_waits_to_try_again_tries_again() -> None:
    graph = Graph(TemporaryError("down", retry_after=timedelta(minutes=1)), OUT)
    async with gateway(graph) as store:
        await order(store, command())
        await store.settle()
        await store.kill_and_restart()
        await store.settle()
        await store.move(timedelta(minutes=2))
        assert len(graph.sent) == 2
        assert told(store) == ["sent"]


async def test_a_status_that_came_while_waiting_to_try_again_stops_the_trying() -> None:
    graph = Graph(TemporaryError("HTTP 500"), "wamid.never")
    async with gateway(graph) as store:
        await order(store, command())
        await store.settle()
        await deliver(store, "bsuid_status")
        await store.move(timedelta(minutes=2))
        assert len(graph.sent) == 1
        assert told(store) == ["delivered"]
