"""The laboratory: a drawer beside the phone where things are made to go wrong, and where the clock is moved."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from agent_store.agents.whatsapp.phone import Ad, Person, Phone, ShopNumber, Trouble
from agent_store.console.simulator import experiments, icons
from agent_store.console.simulator.drawing import Act, Fields, Html, div, markup, toast
from agent_store.console.simulator.words import escaped, shown_phone
from agent_store.kernel.errors import Conflict, InvalidInput


class Laboratory:
    """Draws itself into the place it is made in; `where` tells whose phone it is and which chat is open."""

    def __init__(self, phone: Phone, where: Callable[[], tuple[Person, ShopNumber | None]]) -> None:
        self._phone = phone
        self._where = where
        self._standing: Html
        self._trouble: Html

    @property
    def acts(self) -> dict[str, Act]:
        return {
            "move-clock": self._move_clock,
            "reset-clock": self._reset_clock,
            "trouble": self._make_trouble,
            "no-trouble": self._no_trouble,
            "news": self._news,
            "change-number": self._change_number,
            "unsupported": self._unsupported,
            "from-ad": self._from_ad,
        }

    def build(self) -> None:
        with div("sim-panel laboratory", "section").props('aria-label="Laboratory"'):
            markup(
                f"<header><h2>{icons.FLASK} Laboratory</h2><button type='button' class='sim-icon' data-do='laboratory' "
                f"aria-label='Close the laboratory'>{icons.CLOSE}</button></header>"
                "<p class='sim-about'>The store must bear all of this. It holds for every chat, until it is stopped.</p>"
            )
            self._standing = markup("")
            markup(experiments.part("Clock", experiments.clock_part()))
            self._trouble = markup("")
            markup(
                experiments.part("What WhatsApp tells the store", experiments.news_part(), opened=False)
                + experiments.part("This customer", experiments.customer_part(), opened=False)
            )
        self.draw()

    def draw(self) -> None:
        person, number = self._where()
        state = self._phone.state(person.id, number.phone_number_id) if number is not None else None
        self._standing.show(experiments.standing(self._phone.now(), datetime.now(UTC), person, state))
        self._trouble.show(experiments.part("Trouble", experiments.trouble_part(self._phone.trouble)))

    def warning(self) -> str:
        """What is not as in life at this moment, for whoever wonders."""
        said = experiments.in_short(self._phone.trouble)
        if self._phone.now() - datetime.now(UTC) > timedelta(minutes=1):
            said.insert(0, f"the clock says {self._phone.now().astimezone():%d/%m %H:%M}")
        if not said:
            return ""
        return (
            f"<button type='button' class='sim-warning' data-do='laboratory'>{icons.FLASK}<span>{escaped('; '.join(said).capitalize())}"
            "</span></button>"
        )

    # --- experiments -----------------------------------------------------------------------------------------------

    def _move_clock(self, fields: Fields) -> None:
        try:
            by = timedelta(hours=float(fields["hours"]))
        except (ValueError, OverflowError) as error:
            raise InvalidInput("hours are a number") from error
        now = self._phone.move_clock(by)
        toast(f"It is {now.astimezone():%d/%m %H:%M} now")

    def _reset_clock(self, _: Fields) -> None:
        self._phone.reset_clock()
        toast("The clock is right again")

    def _make_trouble(self, fields: Fields) -> None:
        trouble = experiments.trouble_of(fields)
        self._phone.make_trouble(trouble)
        toast("; ".join(experiments.in_short(trouble)).capitalize() or "No trouble: all goes well")

    def _no_trouble(self, _: Fields) -> None:
        self._phone.make_trouble(Trouble())
        toast("All goes well again")

    async def _news(self, fields: Fields) -> None:
        what, state = experiments.news_of(fields)
        name = fields.get("name", "").strip() if what == "template" else ""
        number = self._where()[1] or self._phone.numbers()[0]
        await self._phone.tell_news(number.phone_number_id, what, state, name=name)
        toast(f"The store was told: {state}")

    def _change_number(self, _: Fields) -> None:
        person = self._phone.change_number(self._where()[0].id)
        toast(f"{person.name} has {shown_phone(person.wa_id or '')} now")

    async def _unsupported(self, _: Fields) -> None:
        person, number = self._chat()
        await self._phone.send_unsupported(person.id, number.phone_number_id)

    async def _from_ad(self, fields: Fields) -> None:
        person, number = self._chat()
        ad = Ad(headline=fields["headline"].strip(), body=number.name, url="https://instagram.example/p/vestidos")
        await self._phone.come_from_ad(person.id, number.phone_number_id, ad, fields["text"].strip())

    def _chat(self) -> tuple[Person, ShopNumber]:
        person, number = self._where()
        if number is None:
            raise Conflict("open a chat first")
        return person, number
