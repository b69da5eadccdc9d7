"""An order paid by Pix in the whole store: link and code in the chat, the bank's callback over HTTP, confirmed once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from agent_store.agents.payments import pix
from agent_store.agents.payments.texts import TEXTS
from agent_store.contracts.orders import OrderConfirmed
from agent_store.contracts.payments import PaymentLinkCreated, PaymentSucceeded
from tests.support.embedded import RunningStore, Shopper
from tests.support.graph import Sent
from tests.support.journeys import play

SHOP: dict[str, Any] = {"pix_name": "Ateliê São João", "pix_city": "Florianópolis"}


async def ordered(store: RunningStore, shopper: Shopper) -> tuple[PaymentLinkCreated, list[Sent]]:
    found = await shopper.say("Oi, quero um vestido vermelho até 300 reais")
    steps = ("/product:vestido-midi-aurora", "/add:FAS-VAURORA-VM-M", "/checkout", "/method:delivery",
             "Ana Souza, 01310-100, Av Paulista 1000 ap 12", "/ship:economico", "/confirm_order")  # fmt: skip
    heard = await play(shopper, steps, found)
    (link,) = await store.events(PaymentLinkCreated)
    assert link.pix is not None
    return link, heard


async def told(store: RunningStore) -> None:
    """Until the bank's callback has been acknowledged and all that follows from it has happened."""
    bank = store.store._rooms.bank
    assert bank is not None
    async with asyncio.timeout(20):
        while await bank.provider.untold():  # another world: nothing else tells
            await asyncio.sleep(0.02)
    await store.settle()


async def test_link_and_code_then_a_callback_and_the_order_is_confirmed_once() -> None:
    async with RunningStore(**SHOP) as store:
        shopper = store.shopper("5511999990001")
        link, heard = await ordered(store, shopper)
        assert link.pix is not None
        code = link.pix.copy_paste
        said = [message.text for message in heard]
        assert code in said, "the code is a message of its own"
        at = said.index(code)
        assert link.link in said[at - 1]
        assert link.order_number in said[at + 1]
        read = pix.read(code)
        assert (read.name, read.city, read.amount) == ("Atelie Sao Joao", "Florianopolis", link.amount)

        picture = await store.http.get(link.pix.image)
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
        assert picture.content.startswith(b"\x89PNG")
        assert picture.content[24:26] in (b"\x08\x02", b"\x08\x06")  # 8 bits, RGB or RGBA: what WhatsApp takes
        assert "private" in picture.headers["cache-control"]
        for wrong in ("", "?t=", f"?t={link.link.partition('?t=')[2]}"):
            answer = await store.http.get(link.pix.image.partition("?")[0] + wrong)
            assert answer.status_code == 404

        assert code in [message.text for message in await shopper.say("manda o pix de novo")]

        page = await store.http.get(link.link.replace(store.store.public_url, ""))
        assert code in page.text
        answer = await store.http.post(f"/pay/{link.payment_id}/pix", data={"t": link.link.partition("?t=")[2]})
        assert answer.status_code == 303
        await told(store)
        assert [one.method for one in await store.events(PaymentSucceeded)] == ["pix"]
        assert len(await store.events(OrderConfirmed)) == 1
        assert link.order_number in "\n".join(message.text for message in await shopper.read())

        for _ in range(3):  # the provider tells it again
            again = await store.api("POST", f"/simulator/pix/{link.pix.txid}/callback")
            assert again == {"status": 200}
        await store.settle()
        assert len(await store.events(PaymentSucceeded)) == 1
        assert len(await store.events(OrderConfirmed)) == 1
        assert await shopper.read() == []
        after = await store.http.get(page.url)
        assert TEXTS["pt"]["paid"] in after.text


async def test_a_callback_with_a_wrong_signature_is_refused_and_the_order_waits_on() -> None:
    async with RunningStore() as store:
        shopper = store.shopper("5511999990002")
        link, _ = await ordered(store, shopper)
        assert link.pix is not None
        body = {
            "pix": [
                {
                    "endToEndId": "E00000000202601010000abcdefghijk",
                    "txid": link.pix.txid,
                    "valor": f"{link.amount.minor / 100:.2f}",
                    "horario": "2026-01-01T00:00:00Z",
                }
            ]
        }
        for headers in ({}, {"X-Pix-Signature": f"t=1767225600,v1={'0' * 64}"}):
            answer = await store.http.post("/webhooks/payments/mock", json=body, headers=headers)
            assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
        await store.settle()
        assert await store.events(PaymentSucceeded) == []


async def test_another_amount_is_given_back_and_told_and_the_card_still_pays() -> None:
    async with RunningStore() as store:
        shopper = store.shopper("5511999990003")
        link, _ = await ordered(store, shopper)
        assert link.pix is not None
        await store.api("POST", "/simulator/pix/pay", {"copy_paste": link.pix.copy_paste, "amount_minor": 100})
        await told(store)
        words = "\n".join(message.text for message in await shopper.read())
        assert "R$ 1,00" in words
        assert "devolvemos" in words
        assert await store.events(PaymentSucceeded) == []
        await shopper.say("4242")
        assert [one.method for one in await store.events(PaymentSucceeded)] == ["test_card"]


async def test_what_a_bank_has_paid_is_told_after_the_store_was_away(tmp_path: Path) -> None:
    data = tmp_path / "store"
    async with RunningStore(data=data) as store:
        link, _ = await ordered(store, store.shopper("5511999990004"))
        assert link.pix is not None
        bank = store.store._rooms.bank
        assert bank is not None
        await bank.provider.pay_pix(link.pix.txid)  # and the process ends before it tells
    async with RunningStore(data=data) as store:
        await told(store)
        assert [one.method for one in await store.events(PaymentSucceeded)] == ["pix"]
