"""A Cloud API of one's own: phones that write signed webhooks to the store and take its Graph calls, over real HTTP.

It only serves the phone number ids that it is given, signs with a secret of its own, and refuses to work when the
store sends elsewhere: it can never speak for a real number. Its chats survive a restart, in a file of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast, get_args

import httpx

from agent_store.adapters.whatsapp import cloud_in, commerce
from agent_store.adapters.whatsapp.cloud import ACCOUNT, Json
from agent_store.adapters.whatsapp.cloud_templates import TemplateStatus
from agent_store.adapters.whatsapp.simulator_behaviour import Behaviour, Pace
from agent_store.adapters.whatsapp.simulator_graph import GRAPH_PATH, GraphSide
from agent_store.adapters.whatsapp.simulator_hub import Hub, Shelf
from agent_store.adapters.whatsapp.simulator_phones import Phones
from agent_store.adapters.whatsapp.simulator_trouble import behaviour_of, trouble_of
from agent_store.agents.whatsapp.phone import NewsKind, ShopNumber, Trouble
from agent_store.agents.whatsapp.ports import TrustedApp
from agent_store.contracts.brands import Directory
from agent_store.kernel.errors import InvalidInput, NotFound

QUALITIES = ("GREEN", "YELLOW", "RED", "UNKNOWN")
LIMITS = ("TIER_50", "TIER_250", "TIER_1K", "TIER_2K", "TIER_10K", "TIER_100K", "TIER_UNLIMITED")
_ACCOUNT_EVENTS = {"RESTRICTED": "ACCOUNT_RESTRICTION", "DISABLED": "DISABLED_UPDATE", "VIOLATION": "ACCOUNT_VIOLATION"}
_HELLO: Json = {
    "name": "hello_world",
    "language": "en_US",
    "category": "UTILITY",
    "components": [
        {"type": "HEADER", "format": "TEXT", "text": "Hello World"},
        {"type": "BODY", "text": "This is the template that every new account has."},
    ],
}


def numbers_of(directory: Directory) -> Sequence[ShopNumber]:
    """Every number of every brand, and the shared one, in the directory of this moment."""
    found: list[ShopNumber] = []
    for brand in directory.brands():
        found += [
            ShopNumber(
                number, brand.name, brand.seller, brand.display_phone, brand.id, brand.emoji, brand.color,
                brand.whatsapp_catalog_id,
            )
            for number in brand.phone_number_ids
        ]  # fmt: skip
    shared = directory.shared
    found += [ShopNumber(number, shared.name, "", shared.display_phone) for number in shared.phone_number_ids]
    return found


class Simulator(Phones):
    """Phones, the Graph side and the webhook side. `start` takes up deliveries that a stopped process left."""

    def __init__(
        self,
        path: Path | str,
        *,
        webhook_url: str,
        numbers: Callable[[], Sequence[ShopNumber]],
        app_secret: str,
        access_token: str,
        elsewhere: str | None = None,
        behaviour: Behaviour | None = None,
        shelf: Shelf | None = None,
        own_templates: bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`webhook_url`: the store's own `/webhooks/whatsapp`. `elsewhere`: AGENT_STORE_WHATSAPP_GRAPH_URL when set.
        `own_templates`: this store's templates are approved from the start."""
        if not app_secret or not access_token:
            raise ValueError("the simulator needs an app secret and an access token of its own")
        hub = Hub(
            path, webhook_url=webhook_url, numbers=numbers, app_secret=app_secret, elsewhere=elsewhere,
            behaviour=behaviour or Behaviour(), shelf=shelf, transport=transport,
        )  # fmt: skip
        super().__init__(hub)
        self.graph = GraphSide(self.hub, access_token)
        self._secret = app_secret
        self._own_templates = own_templates
        self._put_templates()

    def _put_templates(self) -> None:
        bodies = [commerce.template(one, language) for one, language in commerce.all_templates()]
        for body in [_HELLO, *(bodies if self._own_templates else [])]:
            self.hub.store.put_template(
                body["name"], body["language"], body["category"], body["components"], "APPROVED", own=True
            )

    # --- life ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to deliver, also what is left from before. Call it when the store answers."""
        self.hub.store.forget_old()
        self.hub.store.drop_expired_files(self.hub.now())
        self.hub.deliveries.start()
        self.graph.start()

    async def stop(self) -> None:
        """What is not delivered stays in the file and goes out after the next start."""
        await self.graph.stop()
        await self.hub.deliveries.stop()
        await self.hub.fetcher.close()
        self.hub.store.close()

    async def idle(self) -> None:
        """Wait until every webhook has been taken."""
        await self.hub.deliveries.idle()

    async def forget(self) -> None:
        """Begin anew: chats, customers, files, templates of others, catalogues, clock and behaviour."""
        await self.hub.forget()
        self._put_templates()

    @property
    def webhook_url(self) -> str:
        return self.hub.deliveries.url

    def serves(self, phone_number_id: str) -> bool:
        """Is it one of the numbers it was given, or its account? The webhook trusts the simulator's signature for these only."""
        return self.hub.elsewhere is None and (
            phone_number_id == ACCOUNT
            or any(number.phone_number_id == phone_number_id for number in self.hub.numbers())
        )

    @property
    def trusted(self) -> TrustedApp:
        """What the webhook needs to take this simulator's deliveries, for its numbers only."""
        return TrustedApp(self._secret, self.serves)

    async def graph_send(self, phone_number_id: str, body: Json) -> Json:
        """Take a Graph call of the store; statuses follow as webhooks. Raises GraphFault."""
        return await self.graph.messages(phone_number_id, body)

    # --- what happens to the account -------------------------------------------------------------------------------

    def set_quality(self, phone_number_id: str, *, quality: str | None = None, limit: str | None = None) -> None:
        """A number's quality or limit changes, and the store is told."""
        number = self.hub.number(phone_number_id)
        state = self.graph.number_state(phone_number_id)
        after = {"quality": quality or state["quality"], "limit": limit or state["limit"]}
        for name, known in (("quality", QUALITIES), ("limit", LIMITS)):
            if after[name] not in known:
                raise InvalidInput(f"{name} is one of {', '.join(known)}")
        event = "FLAGGED" if after["quality"] == "RED" else "UNFLAGGED"
        if after["limit"] != state["limit"]:
            event = "UPGRADE" if LIMITS.index(after["limit"]) > LIMITS.index(state["limit"]) else "DOWNGRADE"
        self.graph.set_number_state(phone_number_id, after)
        told = cloud_in.quality_news(number, event, state["limit"], after["limit"])
        self.graph.tell("phone_number_quality_update", told)

    def set_account(self, event: str, phone_number_id: str | None = None) -> None:
        """An `account_update`: DISABLED_UPDATE, ACCOUNT_RESTRICTION, ACCOUNT_VIOLATION …"""
        number = self.hub.number(phone_number_id) if phone_number_id else None
        self.graph.tell("account_update", cloud_in.account_news(number, event, self.hub.now()))

    def set_template(self, name: str, status: TemplateStatus, *, language: str = "", reason: str = "") -> None:
        """The platform decides about a template, in one language or in all, and the store is told of each."""
        found = [one for one in self.hub.store.templates() if one.name == name and language in ("", one.language)]
        if not found:
            raise NotFound(f"there is no template {name} {language}".rstrip())
        for one in found:
            self.graph.judge(one.id, status, reason)

    # --- for the page ----------------------------------------------------------------------------------------------

    @property
    def trouble(self) -> Trouble:
        return trouble_of(self.hub.behaviour)

    def make_trouble(self, trouble: Trouble) -> None:
        self.hub.behave(behaviour_of(trouble, self.hub.behaviour))
        self.hub.touch()

    async def tell_news(self, phone_number_id: str, what: NewsKind, state: str, *, name: str = "") -> None:
        if what == "quality":
            self.set_quality(phone_number_id, quality=state)
        elif what == "limit":
            self.set_quality(phone_number_id, limit=state)
        elif what == "template":
            if state not in get_args(TemplateStatus):
                raise InvalidInput(f"a template is one of {', '.join(get_args(TemplateStatus))}")
            self.set_template(name, cast(TemplateStatus, state))
        else:
            self.set_account(_ACCOUNT_EVENTS.get(state, state), phone_number_id)


__all__ = ["GRAPH_PATH", "Behaviour", "Pace", "Simulator", "numbers_of"]
