"""Customers who know what they want: scripts of a conversation, the payment page as a browser would use it, invariants."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.embedded import RunningStore, Shopper, texts
from tests.support.graph import Sent, envelope

LINK = re.compile(r"https?://[^\s/]+(/pay/[^\s]+)")
AMOUNT = re.compile(r"R\$\s?([\d.]+,\d{2})")
ORDER_NUMBER = re.compile(r"AS-[2-9A-Z]{6}")

CARDS = {
    "1111": {"pt": "falta de limite", "en": "not enough funds", "es": "falta de fondos"},
    "2222": {"pt": "vencido", "en": "expired", "es": "vencida"},
    "3333": {"pt": "conexão com o banco", "en": "connection to the bank", "es": "conexión con el banco"},
}
"""The failing test cards, and words by which a customer is told why."""
CONFIRMED = {"pt": "Pagamento aprovado", "en": "Payment approved", "es": "Pago aprobado"}
LINK_GOOD_UNTIL = {"pt": "O link vale até", "en": "The link is good until", "es": "El enlace vale hasta"}


class UserIdShopper(Shopper):
    """A customer without a phone number: known by a business-scoped user id alone."""

    async def _deliver(self, message: dict[str, Any]) -> list[Sent]:
        message = {
            "id": f"wamid.IN{self.wa_id}{next(self._store._wamids):06d}",
            "timestamp": str(int(time.time())),
            "from_user_id": self.wa_id,
            **message,
        }
        contact = {"profile": {"name": self.name, "username": "someone"}, "user_id": self.wa_id}
        assert await self._store.deliver(envelope(self.number, contacts=[contact], messages=[message])) == 200
        return await self.read()


async def play(shopper: Shopper, steps: Iterable[str], last: Sequence[Sent] = ()) -> list[Sent]:
    """Say or tap one after the other; returns all that came.

    "/pattern" taps the choice that the regular expression finds in the last answer (several, by spaces: the first that is
    there). "#product#quero o {}" says the number under which that product was shown last. "?" before a tap: only when it is offered.
    """
    came: list[Sent] = []
    answer = list(last)
    for step in steps:
        if step.startswith("?"):
            step = step[1:]
            if not any(re.fullmatch(step[1:], id) for message in answer for id in message.choices):
                continue
        if step.startswith("/"):
            answer = await shopper.tap_any(answer, *step[1:].split())
        elif step.startswith("#"):
            _, wanted, sentence = step.split("#")
            answer = await shopper.say(sentence.format(shown(answer).index(wanted) + 1))
        else:
            answer = await shopper.say(step)
        assert answer, f"no answer to {step!r}"
        came += answer
    return came


def shown(messages: Sequence[Sent]) -> list[str]:
    """The products (or variants) that these messages show, in order, each once."""
    ids = [id.split(":", 1)[1] for message in messages for id in message.choices if id.startswith(("product:", "add:"))]
    return list(dict.fromkeys(ids))


def link_in(messages: Sequence[Sent]) -> str:
    """Path and query of the payment page in these messages."""
    found = LINK.search(texts(list(messages)))
    assert found is not None, f"no payment link in {texts(list(messages))!r}"
    return found[1]


def number_in(messages: Sequence[Sent]) -> str:
    found = ORDER_NUMBER.search(texts(list(messages)))
    assert found is not None, f"no order number in {texts(list(messages))!r}"
    return found[0]


def amounts_in(text: str) -> set[int]:
    """Every amount in reais that a text states, in cents."""
    return {int(found.replace(".", "").replace(",", "")) for found in AMOUNT.findall(text)}


@dataclass
class PayPage:
    """The payment page of one link, as a browser without scripts sees it."""

    store: RunningStore
    link: str
    status: int = 0
    text: str = ""

    async def open(self) -> PayPage:
        answer = await self.store.http.get(self.link)
        return self._show(answer)

    def _show(self, answer: httpx.Response) -> PayPage:
        self.status, self.text = answer.status_code, html.unescape(answer.text)
        return self

    @property
    def state(self) -> str:
        found = re.search(r'data-state="(\w+)"', self.text)
        return found[1] if found else ""

    async def pay(self, code: str) -> PayPage:
        """Press a button of the form that is shown, follow to where it leads, and look once more when all is done."""
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', self.text))
        assert fields, f"the page has no form: {self.text[:300]}"
        assert f'name="code" value="{code}"' in self.text
        sent = await self.store.http.post(self.link.split("?")[0], data={**fields, "code": code})
        assert sent.status_code == 303, sent.text
        self.link = str(httpx.URL(self.link.split("?")[0]).join(sent.headers["location"]))
        await self.store.settle()
        return await self.open()
