"""The channel's official rules, one by one, by name.

Source: WhatsApp Business Platform: customer service windows, templates, opt-in and opt-out, throughput, pair rate limits,
message statuses, limits of each kind of message, error codes.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from agent_store.agents.whatsapp.following import record_status
from agent_store.agents.whatsapp.model import StatusUpdate
from agent_store.agents.whatsapp.ports import SendInDoubt
from agent_store.contracts.whatsapp import (
    GetChannelHealth,
    OutButtons,
    OutChoice,
    OutContent,
    OutImage,
    OutLink,
    OutList,
    OutPlaceRequest,
    OutProducts,
    OutReaction,
    OutSection,
    OutTemplate,
    OutText,
    Pricing,
    WhatsAppAccountUpdated,
    WhatsAppOptOut,
    WhatsAppSeen,
    WhatsAppStatus,
)
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.ids import CustomerId
from agent_store.kernel.limits import Rate
from agent_store.kernel.tool import Principal
from tests.support.sends import (
    HOUR,
    MINUTE,
    NUMBER,
    OTHER,
    SECOND,
    TEMPLATE,
    WHO,
    Graph,
    Sends,
    busy,
    command,
    gateway,
    refusal,
    words,
)

STAFF = Principal(staff="Rita")
DAY = 24 * HOUR


async def health(store: Sends) -> dict[tuple[str, str], str]:
    return {(news.what, news.subject_id): news.state for news in await store.call(GetChannelHealth(), STAFF)}


# --- customer service window -----------------------------------------------------------------------------------------


async def test_window_inside_of_24_hours_the_message_goes_out_as_it_is() -> None:
    async with gateway(listening=False) as store:
        await store.hears(ago=23 * HOUR + 58 * MINUTE)
        await store.wants(command(template=TEMPLATE, purpose="shipping"))
        assert store.api.kinds == ["text"]
        (status,) = store.events(WhatsAppStatus)
        assert (status.as_template, status.purpose) == (False, "shipping")


@pytest.mark.parametrize("purpose", ["reply", "order", "payment", "shipping", "service", "cart_reminder", "survey"])
async def test_window_outside_of_24_hours_the_template_goes_out_whatever_the_purpose(purpose: Any) -> None:
    async with gateway(listening=False) as store:
        await store.hears(ago=24 * HOUR + SECOND)
        await store.wants(command(template=TEMPLATE, purpose=purpose))
        ((_, payload),) = store.api.asked
        assert (payload["type"], payload["template"]["name"]) == ("template", "order_shipped")
        assert payload["biz_opaque_callback_data"] == command().send_id
        (status,) = store.events(WhatsAppStatus)
        assert (status.status, status.as_template, status.purpose) == ("sent", True, purpose)
        (row,) = await store.send_rows()
        assert (row["as_template"], row["purpose"], row["fallback"]) == (True, purpose, None)


async def test_window_without_a_template_it_fails_unasked_and_staff_see_it() -> None:
    async with gateway(listening=False) as store:
        await store.wants(command())
        assert store.api.asked == []
        assert store.failed() == [
            (131047, "the customer has not written for 24 hours, and there is no template for this message")
        ]
        assert store.counted.counts[("whatsapp_sends_failed", "window")] == 1
        assert await store.dead() == []


async def test_window_closes_a_minute_early_because_a_message_has_a_way_to_go() -> None:
    async with gateway(listening=False) as store:
        await store.hears(ago=24 * HOUR - 30 * SECOND)
        await store.wants(command(template=TEMPLATE))
        assert store.api.kinds == ["template"]


async def test_window_is_looked_at_when_the_message_goes_out_and_not_when_it_was_wanted() -> None:
    async with gateway(Graph(busy(2, 2 * HOUR)), listening=False) as store:
        await store.hears(ago=23 * HOUR)
        await store.wants(command(template=TEMPLATE))
        await store.move(2.3 * HOUR)
        assert store.api.kinds == ["text", "template"]
        assert store.told() == ["sent"]


async def test_window_that_the_customer_opens_again_lets_the_message_itself_out() -> None:
    async with gateway(Graph(busy(2, 2 * HOUR)), listening=False) as store:
        await store.hears(ago=25 * HOUR)
        await store.wants(command(template=TEMPLATE))
        await store.move(HOUR)
        await store.hears()
        await store.move(1.3 * HOUR)
        assert store.api.kinds == ["template", "text"]
        (row,) = await store.send_rows()
        assert row["as_template"] is False


async def test_window_is_each_numbers_own() -> None:
    async with gateway(listening=False) as store:
        await store.hears(number=OTHER)
        await store.wants(command(template=TEMPLATE), command(phone_number_id=OTHER, template=TEMPLATE))
        assert [(number, payload["type"]) for number, payload in store.api.asked] == [
            (NUMBER, "template"),
            (OTHER, "text"),
        ]


async def test_window_a_clock_that_runs_ahead_opens_nothing() -> None:
    async with gateway(listening=False) as store:
        await store.hears(ago=-400 * DAY, received_ago=30 * HOUR)
        await store.wants(command(template=TEMPLATE))
        assert store.api.kinds == ["template"]


async def test_window_what_hides_behind_a_lying_clock_still_opens_it() -> None:
    async with gateway(listening=False) as store:
        await store.hears(ago=-400 * DAY, received_ago=30 * HOUR)
        await store.hears(ago=HOUR)
        await store.wants(command(template=TEMPLATE))
        assert store.api.kinds == ["text"]


async def test_window_a_notice_of_the_system_is_no_word_of_the_customer() -> None:
    async with gateway(listening=False) as store:
        await store.hears(kind="system")
        await store.wants(command(template=TEMPLATE))
        assert store.api.kinds == ["template"]


async def test_window_a_reaction_reaches_nobody_outside_of_it() -> None:
    async with gateway(listening=False) as store:
        await store.wants(command(content=OutReaction(wamid="wamid.IN1", emoji="👍"), template=TEMPLATE))
        assert store.api.asked == []
        assert [code for code, _ in store.failed()] == [131047]


async def test_window_a_template_that_is_the_message_itself_may_always_go() -> None:
    async with gateway(listening=False) as store:
        await store.wants(command(content=TEMPLATE))
        assert store.api.kinds == ["template"]
        assert store.events(WhatsAppStatus)[0].as_template is False


async def test_window_that_the_platform_says_is_closed_sends_the_template_at_once_and_once() -> None:
    async with gateway(Graph(refusal(131047))) as store:
        await store.wants(command(template=TEMPLATE, purpose="order"))
        assert store.api.kinds == ["text", "template"]
        (status,) = store.events(WhatsAppStatus)
        assert (status.status, status.as_template) == ("sent", True)


async def test_window_that_the_platform_says_is_closed_without_a_template_fails_with_its_words() -> None:
    async with gateway(Graph(refusal(131047, "re-engagement"))) as store:
        await store.wants(command())
        assert store.api.kinds == ["text"]
        assert store.failed() == [(131047, "WhatsApp refused the message: (#131047) re-engagement")]


async def test_window_a_template_is_not_sent_in_place_of_itself() -> None:
    async with gateway(Graph(refusal(131047), refusal(131047))) as store:
        await store.wants(command(template=TEMPLATE))
        assert store.api.kinds == ["text", "template"]
        assert [code for code, _ in store.failed()] == [131047]


async def test_window_the_template_that_must_wait_stays_the_template() -> None:
    async with gateway(Graph(refusal(131047), busy(131016))) as store:
        await store.wants(command(template=TEMPLATE))
        await store.move(MINUTE)
        assert store.api.kinds == ["text", "template", "template"]
        assert store.told() == ["sent"]


async def test_window_that_the_platform_closes_after_it_took_the_message_sends_the_template_in_its_place() -> None:
    async with gateway(Graph("wamid.TEXT", "wamid.TEMPLATE")) as store:
        await store.wants(command(template=TEMPLATE, purpose="order"))
        closed = {"wamid": "wamid.TEXT", "send_id": command().send_id, "status": "failed", "error_code": 131047}
        await store.reports(**closed)
        await store.reports(**closed)
        await store.reports(wamid="wamid.TEXT", send_id=command().send_id, status="sent")
        assert store.api.kinds == ["text", "template"]
        await store.reports(wamid="wamid.TEMPLATE", send_id=command().send_id, status="delivered")
        assert store.told() == ["sent", "sent", "delivered"]
        (row,) = await store.send_rows()
        assert (row["state"], row["wamid"], row["as_template"], row["fallback"]) == (
            "delivered", "wamid.TEMPLATE", True, None,
        )  # fmt: skip


async def test_window_statuses_of_the_message_that_was_replaced_change_nothing_while_the_template_waits() -> None:
    async with gateway(Graph("wamid.TEXT", busy(2, MINUTE), "wamid.TEMPLATE")) as store:
        await store.wants(command(template=TEMPLATE))
        old = {"wamid": "wamid.TEXT", "send_id": command().send_id}
        await store.reports(**old, status="failed", error_code=131047)
        await store.reports(**old, status="sent")
        await store.reports(**old, status="failed", error_code=131047)
        await store.move(3 * MINUTE)
        assert store.api.kinds == ["text", "template", "template"]
        assert store.told() == ["sent", "sent"]


async def test_window_that_the_platform_closes_before_its_answer_is_in_sends_the_template_too() -> None:
    async with gateway() as store:

        async def slow() -> str:
            closed = StatusUpdate(NUMBER, "wamid.TEXT", command().send_id, "failed", None, 131047)
            await store.runtime.transact("whatsapp", lambda tx: record_status(tx, closed, tx.now()))
            return "wamid.TEXT"

        store.api.script = [slow, "wamid.TEMPLATE"]
        await store.wants(command(template=TEMPLATE))
        assert store.api.kinds == ["text", "template"]
        (row,) = await store.send_rows()
        assert (row["state"], row["wamid"], row["as_template"]) == ("sent", "wamid.TEMPLATE", True)


async def test_window_a_template_does_not_stand_by_for_ever() -> None:
    async with gateway(Graph("wamid.TEXT")) as store:
        await store.wants(command(template=TEMPLATE))
        assert [row["fallback"] is None for row in await store.send_rows()] == [False]
        await store.move(9 * DAY)
        assert [row["fallback"] for row in await store.send_rows()] == [None]


async def test_window_that_the_platform_closes_afterwards_without_a_template_fails() -> None:
    async with gateway(Graph("wamid.TEXT")) as store:
        await store.wants(command())
        await store.reports(wamid="wamid.TEXT", status="failed", error_code=131047, error="Re-engagement message")
        assert store.told() == ["sent", "failed"]


async def test_window_a_gateway_that_dies_between_the_two_sends_the_template_once() -> None:
    calling = asyncio.Event()

    async def hang() -> str:
        calling.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with gateway(Graph(refusal(131047), hang)) as store:
        await store.publish(command(template=TEMPLATE))
        await calling.wait()
        await store.kill_and_restart()
        await store.settle()
        assert store.api.kinds == ["text", "template"]
        assert await store.states() == ["doubtful"]


# --- opt-out, time ---------------------------------------------------------------------------------------------------


def opted(store: Sends, *, out: bool, ago: timedelta = timedelta(0)) -> WhatsAppOptOut:
    return WhatsAppOptOut(customer_id=CustomerId(f"customer-{WHO}"), stopped=out, at=store.clock.now() - ago)


@pytest.mark.parametrize("purpose", ["cart_reminder", "survey", "marketing"])
async def test_opt_out_is_the_last_look_before_marketing_goes_out(purpose: Any) -> None:
    async with gateway() as store:
        await store.publish(opted(store, out=True))
        await store.settle()
        await store.wants(command(content=TEMPLATE, purpose=purpose))
        assert store.api.asked == []
        assert [reason.split(":")[0] for _, reason in store.failed()] == ["opted out"]


@pytest.mark.parametrize("purpose", ["reply", "order", "payment", "shipping", "service"])
async def test_opt_out_holds_back_nothing_that_the_customer_needs(purpose: Any) -> None:
    async with gateway() as store:
        await store.publish(opted(store, out=True))
        await store.settle()
        await store.wants(command(purpose=purpose))
        assert store.told() == ["sent"]


async def test_opt_out_that_comes_while_marketing_waits_stops_it() -> None:
    async with gateway(Graph(busy(2, 10 * MINUTE))) as store:
        await store.wants(command(content=TEMPLATE, purpose="marketing"))
        await store.publish(opted(store, out=True))
        await store.settle()
        await store.move(12 * MINUTE)
        assert len(store.api.asked) == 1
        assert store.told() == ["failed"]


async def test_opt_in_ends_it_and_their_last_word_counts_in_whatever_order_they_arrive() -> None:
    async with gateway() as store:
        await store.publish(opted(store, out=False))
        await store.publish(opted(store, out=True, ago=MINUTE))
        await store.settle()
        await store.wants(command(content=TEMPLATE, purpose="survey"))
        assert store.told() == ["sent"]


async def test_opt_out_at_whatsapp_itself_is_kept_as_the_customers_word() -> None:
    async with gateway(Graph(refusal(131050))) as store:
        await store.wants(
            command(1, content=TEMPLATE, purpose="marketing"), command(2, content=TEMPLATE, purpose="survey")
        )
        assert len(store.api.asked) == 1
        assert [code for code, _ in store.failed()] == [131050, None]


async def test_healthy_ecosystem_no_marketing_to_this_customer_for_24_hours() -> None:
    async with gateway(Graph("wamid.A")) as store:
        await store.wants(command(1, content=TEMPLATE, purpose="marketing"))
        await store.reports(wamid="wamid.A", status="failed", error_code=131049)
        await store.wants(command(2, content=TEMPLATE, purpose="marketing"), command(3, purpose="reply"))
        await store.move(23 * HOUR)
        await store.wants(command(4, content=TEMPLATE, purpose="survey"))
        await store.move(2 * HOUR)
        await store.wants(command(5, content=TEMPLATE, purpose="marketing"))
        assert store.api.kinds == ["template", "text", "template"]


async def test_expiry_what_is_better_not_said_late_fails_instead() -> None:
    async with gateway(Graph(busy(2, 10 * MINUTE))) as store:
        await store.wants(command(expires_at=store.clock.now() + 5 * MINUTE))
        await store.move(12 * MINUTE)
        assert len(store.api.asked) == 1
        assert [reason.split(":")[0] for _, reason in store.failed()] == ["too late"]


# --- throughput and pair limit ---------------------------------------------------------------------------------------


async def test_pair_limit_a_burst_goes_out_at_once_and_the_rest_one_each_six_seconds_in_order() -> None:
    async with gateway(pair_rate=Rate(45, 45 * 6 * SECOND)) as store:
        await store.wants(*(command(number) for number in range(1, 51)))
        assert len(store.api.asked) == 45
        for sent in range(46, 51):
            await store.move(6.7 * SECOND)
            assert len(store.api.asked) == sent
        assert [words(payload) for _, payload in store.api.asked] == [f"mensagem {n}" for n in range(1, 51)]
        assert all(row["attempts"] == 1 for row in await store.send_rows())


async def test_pair_limit_is_of_one_number_and_one_customer() -> None:
    async with gateway(pair_rate=Rate(1, MINUTE), listening=False) as store:
        await store.hears()
        await store.hears(number=OTHER)
        await store.hears("5511988880002")
        await store.wants(command(), command(phone_number_id=OTHER), command(to="5511988880002"))
        assert len(store.api.asked) == 3


async def test_throughput_what_is_over_waits_and_each_number_has_its_own() -> None:
    async with gateway(send_rate=Rate(5, MINUTE), listening=False) as store:
        people = [f"55119888800{n:02}" for n in range(12)]
        for who in people:
            await store.hears(who)
            await store.hears(who, number=OTHER)
        await store.wants(*(command(to=who) for who in people), command(to=people[0], phone_number_id=OTHER))
        assert [number for number, _ in store.api.asked].count(NUMBER) == 5
        assert [number for number, _ in store.api.asked].count(OTHER) == 1
        for _ in range(12):
            await store.move(MINUTE / 4)
        assert len(store.api.asked) == 13
        assert all(row["attempts"] == 1 for row in await store.send_rows())
        assert store.counted.counts[("whatsapp_send_waits", "throughput")] > 0


async def test_throughput_that_is_back_in_a_moment_is_waited_for_where_it_is() -> None:
    async with gateway(send_rate=Rate(1, SECOND / 5)) as store:
        await store.publish(command(1))
        await store.publish(command(2))
        async with asyncio.timeout(5):
            while len(store.api.asked) < 2:
                await asyncio.sleep(0.01)
                store.monotonic.move(0.1)
        assert ("whatsapp_send_waits", "throughput") not in store.counted.counts


async def test_throughput_marketing_takes_its_share_and_leaves_the_rest_to_answers() -> None:
    async with gateway(send_rate=Rate(10, MINUTE), marketing_share=0.3, listening=False) as store:
        people = [f"55119888800{n:02}" for n in range(16)]
        for who in people:
            await store.hears(who)
        await store.wants(*(command(to=who, content=TEMPLATE, purpose="marketing") for who in people[:8]))
        assert store.api.kinds == ["template"] * 3
        await store.wants(*(command(to=who) for who in people[8:15]))
        assert store.api.kinds.count("text") == 7


async def test_a_limit_of_the_number_holds_its_other_messages_too_and_no_other_number() -> None:
    async with gateway(Graph(busy(130429, MINUTE)), listening=False) as store:
        for who in (WHO, "5511988880002"):
            await store.hears(who)
            await store.hears(who, number=OTHER)
        await store.wants(command())
        await store.wants(command(to="5511988880002"), command(to="5511988880003", content=TEMPLATE))
        await store.wants(command(to=WHO, phone_number_id=OTHER, customer_id=CustomerId("another")))
        assert [number for number, _ in store.api.asked] == [NUMBER, OTHER]
        await store.move(2.5 * MINUTE)
        assert [number for number, _ in store.api.asked].count(NUMBER) == 4


async def test_a_limit_of_the_account_holds_every_number() -> None:
    async with gateway(Graph(busy(80007, 5 * MINUTE)), listening=False) as store:
        for number in (NUMBER, OTHER):
            await store.hears(number=number)
            await store.hears("5511988880002", number=number)
        await store.wants(command())
        await store.wants(command(to="5511988880002", phone_number_id=OTHER))
        assert len(store.api.asked) == 1
        await store.move(6 * MINUTE)
        assert store.told() == ["sent", "sent"]


# --- limits of each kind ---------------------------------------------------------------------------------------------


def choices(count: int, **more: Any) -> tuple[OutChoice, ...]:
    return tuple(OutChoice(id=f"id-{n}", title=f"Opção {n}", **more) for n in range(count))


@pytest.mark.parametrize(
    ("rule", "content"),
    [
        ("text of 4096 characters", OutText(text="a" * 4096)),
        ("caption of 1024", OutImage(link="https://cdn.example/a.jpg", caption="a" * 1024)),
        ("three buttons, titles of 20", OutButtons(text="a" * 1024, choices=(OutChoice(id="a", title="t" * 20), *choices(2)))),
        ("ten rows, titles of 24, descriptions of 72",
         OutList(text="a" * 4096, button="b" * 20, choices=(OutChoice(id="a", title="t" * 24, description="d" * 72), *choices(9)))),
        ("thirty products", OutProducts(catalog_id="1", text="Veja", header="h" * 60, sections=(
            OutSection(title="s" * 24, retailer_ids=tuple(f"SKU-{n}" for n in range(15))),
            OutSection(title="t" * 24, retailer_ids=tuple(f"SKU-{n}" for n in range(15, 30)))))),
        ("one product", OutProducts(catalog_id="1", sections=(OutSection(retailer_ids=("SKU-1",)),))),
        ("link with a button of 20", OutLink(text="a" * 1024, button="b" * 20, url="https://shop.example/pay/1")),
        ("location request of 1024", OutPlaceRequest(text="a" * 1024)),
        ("reaction", OutReaction(wamid="wamid.IN1", emoji="👍")),
        ("template values of 1024", OutTemplate(name="order_shipped", language="pt_BR", values=("v" * 1024,))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
async def test_limits_themselves_go_out(rule: str, content: OutContent) -> None:
    async with gateway() as store:
        await store.wants(command(content=content))
        assert store.told() == ["sent"]


@pytest.mark.parametrize(
    ("rule", "content"),
    [
        ("text over 4096", OutText(text="a" * 4097)),
        ("caption over 1024", OutImage(link="https://cdn.example/a.jpg", caption="a" * 1025)),
        ("button title over 20", OutButtons(text="?", choices=(OutChoice(id="a", title="t" * 21),))),
        ("row id over 200", OutList(text="?", button="Ver", choices=(OutChoice(id="i" * 201, title="x"),))),
        ("products over 30", OutProducts(catalog_id="1", text="t", header="h", sections=(
            OutSection(title="a", retailer_ids=tuple(f"A{n}" for n in range(16))),
            OutSection(title="b", retailer_ids=tuple(f"B{n}" for n in range(15)))))),
        ("several products without a header", OutProducts(catalog_id="1", text="t", sections=(
            OutSection(retailer_ids=("A", "B")),))),
        ("sections without titles", OutProducts(catalog_id="1", text="t", header="h", sections=(
            OutSection(retailer_ids=("A",)), OutSection(retailer_ids=("B",))))),
        ("template value over 1024", OutTemplate(name="order_shipped", language="pt_BR", values=("v" * 1025,))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
async def test_limits_that_are_exceeded_fail_here_and_are_never_an_error_of_the_platform(
    rule: str, content: OutContent
) -> None:
    async with gateway() as store:
        await store.wants(command(content=content))
        assert store.api.asked == []
        assert store.told() == ["failed"]
        assert store.counted.counts[("whatsapp_sends_failed", "limits")] == 1


# --- statuses and order ----------------------------------------------------------------------------------------------


async def test_status_goes_forward_only_and_duplicates_change_nothing() -> None:
    async with gateway(Graph("wamid.A")) as store:
        await store.wants(command())
        for status in ("read", "delivered", "sent", "read", "failed", "delivered"):
            await store.reports(wamid="wamid.A", status=status)
        assert store.told() == ["sent", "read"]


async def test_status_tells_what_the_message_costs_also_when_it_brings_nothing_else() -> None:
    async with gateway(Graph("wamid.A")) as store:
        await store.wants(command(purpose="shipping"))
        price = Pricing(category="utility", billable=True, type="regular")
        await store.reports(wamid="wamid.A", status="sent", pricing=price)
        assert [row["pricing"] for row in await store.send_rows()] == [price.model_dump(mode="json")]
        await store.reports(wamid="wamid.A", status="delivered")
        assert store.events(WhatsAppStatus)[-1].pricing == price


async def test_order_a_customers_messages_keep_theirs_while_the_first_one_waits() -> None:
    async with gateway(Graph(busy(131016), busy(131016))) as store:
        await store.wants(*(command(number) for number in (3, 1, 2)))
        for _ in range(6):
            await store.move(MINUTE)
        assert [words(payload) for payload in store.api.taken] == ["mensagem 1", "mensagem 2", "mensagem 3"]


async def test_order_waits_longer_than_the_order_wait_for_a_message_that_is_tried_again() -> None:
    async with gateway(Graph(busy(2, 30 * MINUTE))) as store:
        await store.wants(command(1), command(2))
        await store.move(10 * MINUTE)
        assert len(store.api.asked) == 1
        await store.move(24 * MINUTE)
        assert [words(payload) for payload in store.api.taken] == ["mensagem 1", "mensagem 2"]


# --- error codes -----------------------------------------------------------------------------------------------------


async def test_hint_of_the_platform_is_waited_for() -> None:
    async with gateway(Graph(busy(4, 7 * MINUTE))) as store:
        await store.wants(command())
        await store.move(6 * MINUTE)
        assert len(store.api.asked) == 1
        await store.move(3 * MINUTE)
        assert store.told() == ["sent"]


@pytest.mark.parametrize("code", [1, 131000])
async def test_a_message_that_the_platform_never_takes_is_given_up_and_lets_the_next_one_go(code: int) -> None:
    async with gateway() as store:
        store.api.rule = lambda number, payload: busy(code) if words(payload) == "mensagem 1" else None
        await store.wants(command(1), command(2))
        for _ in range(60):
            await store.move(MINUTE)
        assert len([payload for _, payload in store.api.asked if words(payload) == "mensagem 1"]) == 20
        assert sorted(store.told()) == ["failed", "sent"]
        assert store.failed()[0][0] == code
        assert await store.dead() == []


@pytest.mark.parametrize("code", [131026, 131021, 131051, 131052, 131053, 130472, 131049])
async def test_what_never_reaches_this_customer_fails_once_and_alarms_nobody(code: int) -> None:
    async with gateway(Graph(refusal(code))) as store:
        await store.wants(command())
        assert [failed for failed, _ in store.failed()] == [code]
        assert store.events(WhatsAppAccountUpdated) == []
        await store.move(DAY)
        assert len(store.api.asked) == 1


@pytest.mark.parametrize(
    ("code", "state"),
    [(368, "BLOCKED"), (131031, "LOCKED"), (131042, "PAYMENT"), (133010, "NOT_REGISTERED"), (33, "DELETED")],
)
async def test_trouble_of_the_account_is_told_once_and_is_over_when_a_message_is_taken(code: int, state: str) -> None:
    async with gateway(Graph(refusal(code), refusal(code))) as store:
        await store.wants(command(1), command(2))
        (news,) = store.events(WhatsAppAccountUpdated)
        assert (news.subject_id, news.what, news.state, news.severity) == (NUMBER, "account", state, "alert")
        assert await health(store) == {("account", NUMBER): state}
        assert store.counted.counts[("whatsapp_alerts", state, "account")] == 1
        await store.wants(command(3))
        assert await health(store) == {("account", NUMBER): "OK"}
        assert [code for code, _ in store.failed()] == [code, code]


async def test_a_template_that_is_paused_is_told_by_name() -> None:
    async with gateway(Graph(refusal(132015)), listening=False) as store:
        await store.wants(command(template=TEMPLATE))
        assert await health(store) == {("template", "order_shipped/pt_BR"): "PAUSED"}
        assert [code for code, _ in store.failed()] == [132015]


async def test_what_the_platform_reports_after_it_took_the_message_is_told_to_staff_too() -> None:
    async with gateway(Graph("wamid.A")) as store:
        await store.wants(command(content=TEMPLATE))
        await store.reports(wamid="wamid.A", status="failed", error_code=131042, error="Payment issue")
        assert await health(store) == {("account", NUMBER): "PAYMENT"}


# --- the access token ------------------------------------------------------------------------------------------------


async def test_token_that_is_refused_is_shown_and_the_messages_wait_for_a_good_one() -> None:
    async with gateway(listening=False) as store:
        store.api.rule = lambda number, payload: busy(190)
        people = [f"55119888800{n:02}" for n in range(20)]
        for who in people:
            await store.hears(who)
        await store.wants(*(command(number, to=who) for who in people for number in (1, 2)))
        (news,) = store.events(WhatsAppAccountUpdated)
        assert (news.what, news.state, news.severity, news.subject_id) == ("token", "EXPIRED", "alert", NUMBER)
        assert await health(store) == {("token", NUMBER): "EXPIRED"}
        for _ in range(60):
            await store.move(MINUTE)
        assert store.told() == []
        # One message at a time finds out whether it is good again; the others wait without asking.
        assert len(store.api.asked) < 20 + 60 * 2.5
        store.api.rule = lambda number, payload: None
        for _ in range(5):
            await store.move(MINUTE)
        assert store.told() == ["sent"] * 40
        assert await health(store) == {("token", NUMBER): "OK"}
        for who in people:
            assert [words(p) for p in store.api.taken if p["to"] == who] == ["mensagem 1", "mensagem 2"]
        assert await store.dead() == []


async def test_token_of_a_number_holds_no_other_number() -> None:
    async with gateway(listening=False) as store:
        store.api.rule = lambda number, payload: busy(190) if number == NUMBER else None
        await store.hears()
        await store.hears("5511988880002", number=OTHER)
        await store.wants(command(), command(to="5511988880002", phone_number_id=OTHER))
        assert store.told() == ["sent"]
        assert await health(store) == {("token", NUMBER): "EXPIRED"}


@pytest.mark.parametrize("code", [10, 200, 131005])
async def test_permission_that_is_missing_is_told_apart_from_an_expired_token(code: int) -> None:
    async with gateway(Graph(busy(code))) as store:
        await store.wants(command())
        assert await health(store) == {("token", NUMBER): "FORBIDDEN"}
        await store.move(2 * MINUTE)
        assert store.told() == ["sent"]


async def test_token_a_wait_that_outlasts_the_window_ends_with_the_template_or_a_failure() -> None:
    async with gateway() as store:
        store.api.rule = lambda number, payload: busy(190)
        await store.wants(command(1, template=TEMPLATE), command(2))
        for _ in range(26):
            await store.move(HOUR)
        store.api.rule = lambda number, payload: None
        await store.move(3 * MINUTE)
        assert [payload["type"] for payload in store.api.taken] == ["template"]
        assert store.told() == ["sent", "failed"]


# --- read receipts and typing ----------------------------------------------------------------------------------------


def seen(store: Sends, **more: Any) -> WhatsAppSeen:
    values: dict[str, Any] = {
        "wamid": "wamid.IN1", "customer_id": CustomerId(f"customer-{WHO}"), "phone_number_id": NUMBER,
        "until": store.clock.now() + 25 * SECOND,
    }  # fmt: skip
    return WhatsAppSeen(**(values | more))


async def test_seen_shows_the_read_receipt_and_that_somebody_types() -> None:
    async with gateway() as store:
        await store.publish(seen(store))
        await store.publish(seen(store, wamid="wamid.IN2", typing=False))
        await store.settle()
        assert store.api.seen == [
            {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.IN1",
             "typing_indicator": {"type": "text"}},
            {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.IN2"},
        ]  # fmt: skip


@pytest.mark.parametrize("error", [busy(2), refusal(100), SendInDoubt("no answer"), TemporaryError("down")])
async def test_seen_is_tried_once_and_its_failure_is_counted_and_nothing_else(error: Exception) -> None:
    async with gateway() as store:
        store.api.seen_fails = error
        await store.publish(seen(store))
        await store.settle()
        await store.move(HOUR)
        assert len(store.api.seen) == 1
        assert store.counted.counts == {("whatsapp_seen", "failed"): 1}
        assert await store.dead() == []


async def test_seen_too_late_is_not_shown() -> None:
    async with gateway() as store:
        await store.publish(seen(store, until=store.clock.now()))
        await store.settle()
        assert store.api.seen == []


async def test_seen_waits_for_no_message_of_the_customer_and_no_message_waits_for_it() -> None:
    async with gateway(Graph(busy(2, HOUR))) as store:
        await store.wants(command())
        await store.publish(seen(store))
        await store.settle()
        assert len(store.api.seen) == 1


async def test_a_doubtful_send_is_given_up_in_time_while_the_next_one_waits() -> None:
    async with gateway(Graph(SendInDoubt("no answer"), busy(2, HOUR))) as store:
        await store.wants(command(1), command(2))
        await store.move(21 * SECOND)
        assert store.told() == ["uncertain"]
