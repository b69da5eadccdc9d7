"""The Graph API is away for ten minutes, or a day: all that was to be said arrives later, in order, and nothing twice.

The store's own Graph client runs against a platform that is told how to fail; clocks are moved by hand.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import httpx
import pytest

from agent_store.adapters.whatsapp.graph import GraphClient
from agent_store.contracts.whatsapp import GetChannelHealth, WhatsAppSeen
from agent_store.kernel.ids import CustomerId
from agent_store.kernel.limits import Rate
from agent_store.kernel.tool import Principal
from tests.support.sends import HOUR, MINUTE, NUMBER, SECOND, TEMPLATE, Sends, command, gateway, words

OUTAGE = 10 * MINUTE
PEOPLE = [f"55119888800{n:02}" for n in range(20)]
EACH = 3
STAFF = Principal(staff="Rita")

Fault = Callable[[httpx.Request], httpx.Response]


def answer(status: int, code: int | None = None, **headers: str) -> Fault:
    body = {"error": {"message": f"(#{code}) planned", "code": code}} if code is not None else {}
    return lambda request: httpx.Response(status, json=body, headers=headers)


def unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectTimeout("planned", request=request)


def swallowed(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("planned", request=request)


class Platform:
    """Takes messages, but not while `fault` says what happens instead. `lost` messages are taken, and their answer is not
    brought: each second one."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.taken: list[dict[str, str]] = []
        self.asked = 0
        self.answers_lost = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return self.fault(request) if self.fault is not None else httpx.Response(200, json={"id": NUMBER})
        payload = json.loads(request.content)
        if payload.get("status") == "read":
            return self.fault(request) if self.fault is not None else httpx.Response(200, json={"success": True})
        self.asked += 1
        if self.fault is swallowed:
            self.answers_lost += 1
            if self.answers_lost % 2:
                self.take(payload)
        if self.fault is not None:
            return self.fault(request)
        return httpx.Response(200, json={"messages": [{"id": self.take(payload)}]})

    def take(self, payload: dict[str, str]) -> str:
        wamid = f"wamid.OUT{len(self.taken):06}"
        self.taken.append({**payload, "wamid": wamid})
        return wamid

    async def report(self, store: Sends) -> None:
        """Statuses of all that was taken, as the platform brings them once it is well."""
        for message in list(self.taken):
            send_id = message["biz_opaque_callback_data"]
            await store.reports(wamid=message["wamid"], send_id=send_id, status="delivered")


def client(platform: Platform) -> Callable[[Sends], GraphClient]:
    def make(store: Sends) -> GraphClient:
        from agent_store.agents.whatsapp.ports import WhatsAppSettings

        settings = store.ports[WhatsAppSettings]
        assert isinstance(settings, WhatsAppSettings)
        return GraphClient(settings, transport=httpx.MockTransport(platform), monotonic=store.monotonic)

    return make


async def live_through(store: Sends, until: datetime, step: timedelta) -> None:
    while store.clock.now() < until:
        await store.move(min(step, until - store.clock.now()))


def never_twice(platform: Platform) -> None:
    twice = [id for id, times in Counter(m["biz_opaque_callback_data"] for m in platform.taken).items() if times > 1]
    assert twice == []


def in_order(platform: Platform) -> None:
    for who in PEOPLE:
        numbers = [m["biz_opaque_callback_data"].rpartition(".")[2] for m in platform.taken if m["to"] == who]
        assert numbers == sorted(numbers)


async def through_an_outage(
    fault: Fault | Callable[[], Fault],
    *,
    changing: bool = False,
    length: timedelta = OUTAGE,
    step: timedelta = 20 * SECOND,
) -> tuple[Platform, list[str]]:
    """Twenty customers with three messages each: the first before the outage, one in it, one at its end. Returns what the
    platform has taken and the states of the sends."""
    platform = Platform()
    async with gateway(client(platform), listening=False, pair_rate=Rate(45, 270 * SECOND)) as store:
        for who in PEOPLE:
            await store.hears(who)
        for number in range(1, EACH + 1):
            for who in PEOPLE:
                await store.publish(command(number, to=who, template=TEMPLATE))
            if number == 1:
                await store.settle()
                platform.fault = fault if not changing else fault()  # type: ignore[call-arg,assignment]
        await store.settle()
        end = store.clock.now() + length
        while store.clock.now() < end:
            await store.move(step)
            if changing:
                platform.fault = fault()  # type: ignore[call-arg,assignment]
        assert not [letter.reason for letter in await store.dead()]
        platform.fault = None
        await live_through(store, end + 6 * MINUTE, step)
        await platform.report(store)
        states = await store.states()
        assert await store.dead() == []
        never_twice(platform)
        in_order(platform)
        assert len(states) == len(PEOPLE) * EACH
        return platform, states


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(unreachable, id="unreachable"),
        pytest.param(answer(500), id="500"),
        pytest.param(answer(500, 131000), id="500-131000"),
        pytest.param(answer(503, 2), id="503-2"),
        pytest.param(answer(429), id="429"),
        pytest.param(answer(429, 130429), id="429-130429"),
        pytest.param(answer(429, None, **{"retry-after": "45"}), id="429-retry-after"),
        pytest.param(
            answer(400, 80007, **{"x-business-use-case-usage": '{"1": [{"estimated_time_to_regain_access": 2}]}'}),
            id="80007-usage",
        ),
        pytest.param(answer(400, 131056), id="131056"),
        pytest.param(answer(401, 190), id="token-expired"),
        pytest.param(answer(403, 10), id="permission"),
    ],
)
async def test_after_ten_minutes_all_messages_arrive_once_and_in_order(fault: Fault) -> None:
    platform, states = await through_an_outage(fault)
    assert states == ["delivered"] * (len(PEOPLE) * EACH)
    assert len(platform.taken) == len(PEOPLE) * EACH


async def test_after_ten_minutes_of_swallowed_requests_only_those_under_way_at_its_begin_are_in_doubt() -> None:
    platform, states = await through_an_outage(swallowed)
    count = Counter(states)
    # Those that the platform had taken are settled by their status; the others stay uncertain, and are not repeated.
    assert count["delivered"] == len(platform.taken)
    assert count["uncertain"] == len(PEOPLE) * EACH - len(platform.taken)
    assert count["uncertain"] <= len(PEOPLE) / 4
    assert set(count) <= {"delivered", "uncertain"}
    assert platform.answers_lost <= len(PEOPLE) / 4


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_after_ten_minutes_of_everything_mixed_nothing_is_lost_that_one_could_know_of(seed: int) -> None:
    chance = random.Random(seed)
    faults: list[Fault | None] = [
        unreachable, swallowed, answer(500), answer(500, 131000), answer(503, 131016), answer(429, 4),
        answer(429, None, **{"retry-after": "30"}), answer(401, 190), None,
    ]  # fmt: skip
    platform, states = await through_an_outage(lambda: chance.choice(faults), changing=True)  # type: ignore[arg-type,return-value]
    count = Counter(states)
    assert set(count) <= {"delivered", "uncertain"}
    assert count["delivered"] == len(platform.taken)
    assert count["uncertain"] <= platform.answers_lost


async def test_a_gateway_that_is_killed_in_the_outage_loses_nothing() -> None:
    platform = Platform()
    async with gateway(client(platform), listening=False) as store:
        for who in PEOPLE:
            await store.hears(who)
        platform.fault = answer(503, 2)
        for number in (1, 2):
            for who in PEOPLE:
                await store.publish(command(number, to=who))
        await store.settle()
        await live_through(store, store.clock.now() + 4 * MINUTE, 30 * SECOND)
        await store.kill_and_restart()
        await store.settle()
        await live_through(store, store.clock.now() + 4 * MINUTE, 30 * SECOND)
        platform.fault = None
        await live_through(store, store.clock.now() + 4 * MINUTE, 30 * SECOND)
        assert set(await store.states()) == {"sent"}
        assert len(platform.taken) == 2 * len(PEOPLE)
        never_twice(platform)
        in_order(platform)


@pytest.mark.parametrize(
    "fault", [pytest.param(answer(503), id="503"), pytest.param(answer(401, 190), id="token-expired")]
)
async def test_after_a_day_what_has_a_template_arrives_and_the_rest_has_failed_with_a_reason(fault: Fault) -> None:
    platform = Platform()
    people = PEOPLE[:4]
    async with gateway(client(platform), listening=False) as store:
        for who in people:
            await store.hears(who)
        platform.fault = fault
        for who in people:
            await store.publish(command(1, to=who, template=TEMPLATE, purpose="order"))
            await store.publish(command(2, to=who))
        await store.settle()
        await live_through(store, store.clock.now() + 24 * HOUR + 5 * MINUTE, 10 * MINUTE)
        assert await store.dead() == []
        platform.fault = None
        await live_through(store, store.clock.now() + 5 * MINUTE, MINUTE)
        assert Counter(await store.states()) == {"sent": 4, "failed": 4}
        assert {m["type"] for m in platform.taken} == {"template"}
        assert {code for code, _ in store.failed()} == {131047}
        assert await store.dead() == []


async def test_an_outage_is_not_made_worse_by_those_who_wait() -> None:
    """Each customer's first message asks now and then; those behind it do not."""
    platform = Platform()
    async with gateway(client(platform), listening=False) as store:
        platform.fault = answer(503)
        for who in PEOPLE:
            await store.hears(who)
            for number in (1, 2, 3):
                await store.publish(command(number, to=who))
        await store.settle()
        await live_through(store, store.clock.now() + HOUR, 30 * SECOND)
        # Pauses grow to two minutes, of which half is chance: at least a minute between two questions of a customer.
        assert platform.asked < len(PEOPLE) * 75


async def test_what_is_only_a_courtesy_keeps_out_of_an_outage() -> None:
    platform = Platform()
    async with gateway(client(platform)) as store:
        platform.fault = swallowed
        await store.wants(command())
        seen = WhatsAppSeen(
            wamid="wamid.IN1",
            customer_id=CustomerId("c"),
            phone_number_id=NUMBER,
            until=store.clock.now() + 20 * SECOND,
        )
        await store.publish(seen)
        await store.settle()
        assert store.counted.counts[("whatsapp_seen", "failed")] == 1
        assert await store.dead() == []


async def test_the_platform_is_asked_a_harmless_question_before_the_next_message_is_risked() -> None:
    platform = Platform()
    async with gateway(client(platform)) as store:
        platform.fault = swallowed
        await store.wants(command(1), command(2), command(3))
        await live_through(store, store.clock.now() + 5 * MINUTE, 10 * SECOND)
        assert platform.asked == 1
        platform.fault = None
        await live_through(store, store.clock.now() + 3 * MINUTE, 10 * SECOND)
        assert [words(m) for m in platform.taken] == ["mensagem 1", "mensagem 2", "mensagem 3"]


async def test_a_token_that_expires_does_not_stand_in_staffs_way_longer_than_it_is_bad() -> None:
    platform = Platform()
    async with gateway(client(platform)) as store:
        platform.fault = answer(401, 190)
        await store.wants(command(1))
        (news,) = await store.call(GetChannelHealth(), STAFF)
        assert (news.what, news.state, news.severity) == ("token", "EXPIRED", "alert")
        assert "AGENT_STORE_WHATSAPP_ACCESS_TOKEN" in news.reason
        platform.fault = None
        await live_through(store, store.clock.now() + 3 * MINUTE, 30 * SECOND)
        (news,) = await store.call(GetChannelHealth(), STAFF)
        assert (news.what, news.state, news.severity) == ("token", "OK", "info")
