"""The gateway's sending side in a store with moved clocks: who wrote when, what goes out, what the platform answers."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from agent_store.adapters.limits import LocalRateLimiter
from agent_store.agents.whatsapp import tables
from agent_store.agents.whatsapp.agent import whatsapp
from agent_store.agents.whatsapp.following import record_status
from agent_store.agents.whatsapp.model import StatusUpdate
from agent_store.agents.whatsapp.ports import MediaSettings, WhatsAppApi, WhatsAppSettings
from agent_store.contracts.brands import Brand, Directory, SharedNumber
from agent_store.contracts.whatsapp import OutContent, OutTemplate, OutText, WhatsAppMessageSend, WhatsAppStatus
from agent_store.kernel.errors import PermanentError, TemporaryError
from agent_store.kernel.ids import ConversationId, CustomerId
from agent_store.kernel.limits import RateLimiter
from agent_store.kernel.metrics import Metrics, NoMetrics
from agent_store.kernel.sql import insert
from agent_store.kernel.store import Unit
from tests.support.store import TestStore

NUMBER, OTHER = "219870000000001", "219870000000002"
WHO = "5511988880001"
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
TEMPLATE = OutTemplate(name="order_shipped", language="pt_BR", values=("AS-1", "Hoje."), text="Seu pedido AS-1 …")


class Brands:
    shared = SharedNumber()

    def brands(self) -> Sequence[Brand]:
        return (Brand(id="fashion", name="Moda", seller="Luna", phone_number_ids=(NUMBER, OTHER)),)

    def brand(self, brand_id: str) -> Brand | None:
        return next((brand for brand in self.brands() if brand.id == brand_id), None)

    def by_number(self, phone_number_id: str) -> Brand | None:
        return next((brand for brand in self.brands() if phone_number_id in brand.phone_number_ids), None)

    def is_known(self, phone_number_id: str) -> bool:
        return self.by_number(phone_number_id) is not None

    def house_prompt(self) -> str:
        return ""


Answer = Exception | str | Callable[[], Awaitable[str]]


class Graph:
    """A Graph API that does what it is told, then takes everything. `rule` decides before the script does."""

    def __init__(self, *script: Answer) -> None:
        self.script = list(script)
        self.rule: Callable[[str, Mapping[str, Any]], Answer | None] = lambda number, payload: None
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        """Number and payload of every call."""
        self.taken: list[Mapping[str, Any]] = []
        self.seen: list[Mapping[str, Any]] = []
        self.seen_fails: Exception | None = None

    async def send(self, phone_number_id: str, payload: Mapping[str, Any]) -> str:
        self.asked.append((phone_number_id, payload))
        answer: Answer | None = self.rule(phone_number_id, payload)
        if answer is None:
            answer = self.script.pop(0) if self.script else f"wamid.OUT{len(self.asked)}"
        if isinstance(answer, Exception):
            raise answer
        wamid = answer if isinstance(answer, str) else await answer()
        self.taken.append(payload)
        return wamid

    async def show_seen(self, phone_number_id: str, payload: Mapping[str, Any]) -> None:
        self.seen.append(payload)
        if self.seen_fails is not None:
            raise self.seen_fails

    @property
    def kinds(self) -> list[str]:
        return [payload["type"] for _, payload in self.asked]


class Counted(NoMetrics):
    def __init__(self) -> None:
        self.counts: dict[tuple[str, ...], int] = {}

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        key = (name, *(labels[label] for label in sorted(labels)))
        self.counts[key] = self.counts.get(key, 0) + amount


def refusal(code: int, words: str = "no") -> PermanentError:
    return PermanentError(f"WhatsApp refused the message: (#{code}) {words}", platform_code=code)


def busy(code: int | None = None, hint: timedelta | None = None) -> TemporaryError:
    return TemporaryError(f"WhatsApp does not take the message now: (#{code})", retry_after=hint, platform_code=code)


class Sends(TestStore):
    """With what the tests of sending ask and say."""

    api: Any
    counted: Counted

    async def hears(self, who: str = WHO, ago: timedelta = timedelta(0), *, number: str = NUMBER, kind: str = "text",
                    received_ago: timedelta | None = None) -> None:  # fmt: skip
        """The customer wrote so long ago, and it was received then (or so long ago)."""
        sent = self.clock.now() - ago
        received = sent if received_ago is None else self.clock.now() - received_ago
        row = {
            "wamid": f"wamid.{who}.{number}.{sent.isoformat()}.{kind}", "phone_number_id": number, "sender": who,
            "kind": kind, "raw": "{}", "sent_at": sent, "received_at": received,
        }  # fmt: skip

        async def add(unit: Unit) -> None:
            await unit.db.run(insert(tables.messages).on_conflict_do_nothing(), row)

        await self.runtime.store.run(add)

    async def wants(self, *commands: WhatsAppMessageSend) -> None:
        for command in commands:
            await self.publish(command)
        await self.settle()

    async def reports(self, **status: Any) -> None:
        """The platform's webhook brings a status."""
        values: dict[str, Any] = {"phone_number_id": NUMBER, "wamid": None, "send_id": None, "at": None}
        update = StatusUpdate(**(values | status))
        await self.runtime.transact("whatsapp", lambda tx: record_status(tx, update, tx.now()))
        await self.settle()

    async def send_rows(self) -> list[Any]:
        return list(await self.rows(select(tables.sends).order_by(tables.sends.c.send_id)))

    async def states(self) -> list[str]:
        return [row["state"] for row in await self.send_rows()]

    def told(self) -> list[str]:
        return [status.status for status in self.events(WhatsAppStatus)]

    def failed(self) -> list[tuple[int | None, str]]:
        return [
            (status.error_code, status.error or "")
            for status in self.events(WhatsAppStatus)
            if status.status == "failed"
        ]


@asynccontextmanager
async def gateway(api: Any = None, *, listening: bool = True, **settings: Any) -> AsyncGenerator[Sends]:
    """`listening`: the customer `WHO` has just written to `NUMBER`."""
    values: dict[str, Any] = {
        "app_secret": "s", "verify_token": "v", "access_token": "t", "graph_url": "http://graph",
        "public_url": "http://shop",
    }  # fmt: skip
    counted = Counted()
    ports: dict[type[Any], object] = {
        Directory: Brands(),
        WhatsAppSettings: WhatsAppSettings(**(values | settings)),
        MediaSettings: MediaSettings(),
        Metrics: counted,
    }
    store = Sends([whatsapp], ports=ports)
    store.api = api(store) if callable(api) and not isinstance(api, Graph) else api or Graph()
    store.counted = counted
    store.ports[WhatsAppApi] = store.api
    store.ports[RateLimiter] = LocalRateLimiter(store.monotonic)
    async with store:
        if listening:
            await store.hears()
        yield store


def command(
    number: int = 1,
    content: OutContent | None = None,
    *,
    to: str = WHO,
    phone_number_id: str = NUMBER,
    text: str = "",
    **more: Any,
) -> WhatsAppMessageSend:
    """`number` counts the messages to this customer."""
    values: dict[str, Any] = {
        "send_id": f"{phone_number_id}.{to}.{number:04}",
        "conversation_id": ConversationId(f"conversation-{phone_number_id}-{to}"),
        "customer_id": CustomerId(f"customer-{to}"),
        "number": number,
        "phone_number_id": phone_number_id,
        "to": to,
        "content": content or OutText(text=text or f"mensagem {number}"),
    }
    return WhatsAppMessageSend(**(values | more))


def words(payload: Mapping[str, Any]) -> str:
    """Of a text; of anything else its JSON."""
    return payload["text"]["body"] if payload["type"] == "text" else json.dumps(payload)
