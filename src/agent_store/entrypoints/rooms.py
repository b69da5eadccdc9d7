"""The agents by name, and what each needs from outside: a process imports and builds what its agents need, no more."""

from __future__ import annotations

import importlib
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_store.adapters.telemetry.metrics import PrometheusMetrics
from agent_store.adapters.telemetry.observed import ObservedBrain, TracedWhatsApp
from agent_store.contracts.brands import Directory
from agent_store.entrypoints.settings import Settings
from agent_store.entrypoints.sharing import token_rates
from agent_store.kernel.agent import TICK_TOPIC, Agent
from agent_store.kernel.clock import Clock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.store import Store
from agent_store.kernel.tracing import OFF, Tracing

if TYPE_CHECKING:
    from agent_store.adapters.payments.bank import MockBank
    from agent_store.adapters.services import Services
    from agent_store.agents.conversations.ports import Sellers
    from agent_store.agents.payments.ports import Callbacks
    from agent_store.agents.whatsapp.ports import MediaStore

AGENTS = (
    "whatsapp", "conversations", "assistant", "catalog", "inventory", "pricing", "cart", "orders", "payments",
    "fulfillment", "seller",
)  # fmt: skip
A_BRAND_EACH = frozenset({"seller"})
"""Agents of which there is an instance a brand: `seller/fashion`."""
MEDIA_AT_ONCE = 8
"""Customers' files that a process holds in memory."""
BRAND_ID = re.compile(r"[a-z][a-z0-9-]{0,30}")


ADDED = "agent_store.agents"
"""The entry points by which an installed package brings an agent: its name, and where the `Agent` is."""


@cache
def added() -> Mapping[str, EntryPoint]:
    """Agents of other packages by name. They are looked up (some milliseconds) when somebody asks for more than ours.

    Raises InvalidInput when a package calls its agent as one of ours or of another package is called.
    """
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=ADDED):
        if entry.name in AGENTS or found.setdefault(entry.name, entry).value != entry.value:
            raise InvalidInput(
                f"{_package(entry)} brings an agent {entry.name!r}, and there is one of that name already"
            )
    return found


def all_names() -> tuple[str, ...]:
    """Every agent that this installation has: ours, then those of other packages."""
    return (*AGENTS, *sorted(added()))


def agent_named(name: str) -> Agent:
    """Raises InvalidInput that names those there are, or says why one of another package cannot be had."""
    if name in AGENTS:
        ours: Agent = getattr(importlib.import_module(f"agent_store.agents.{name}.agent"), name)
        return ours
    entry = added().get(name)
    if entry is None:
        raise InvalidInput(f"there is no agent {name!r}: {', '.join(all_names())}")
    try:
        found = entry.load()
    except (ImportError, AttributeError) as error:
        raise InvalidInput(f"{_package(entry)}: its agent {name!r} cannot be loaded: {error}") from error
    if not isinstance(found, Agent) or found.name != name:
        raise InvalidInput(f"{_package(entry)}: {entry.value} is no Agent of the name {name!r}")
    return found


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value


def consumers_of(names: Iterable[str], directory: Directory, *, live: bool = False) -> list[Consumer]:
    """`orders`, `seller` (one for each brand), `seller/fashion` and `all` as consumers. Raises InvalidInput.

    `live`: brands come and go in this directory, so one that it does not list may be named: it may come yet.
    """
    found: dict[str, Consumer] = {}
    brands = {brand.id for brand in directory.brands()}
    for name in (one for given in names for one in (all_names() if given == "all" else (given,))):
        agent, _, brand = name.partition("/")
        if brand and (
            agent not in A_BRAND_EACH or not (directory.brand(brand) or (live and BRAND_ID.fullmatch(brand)))
        ):
            raise InvalidInput(f"{name}: {brand!r} is no brand of {agent}; brands: {', '.join(sorted(brands))}")
        wanted = ([brand] if brand else sorted(brands)) if agent in A_BRAND_EACH else [None]
        for one in wanted:
            consumer = Consumer(agent_named(agent), one)
            found[consumer.name] = consumer
    return list(found.values())


def heard_by(agent: Agent) -> dict[str, set[str]]:
    """Topic → types of events that it listens to; its ticks are the type "" of the topic `schedule`."""
    heard: dict[str, set[str]] = {}
    for name, subscription in agent.subscriptions.items():
        heard.setdefault(subscription.event.topic, set()).add(name)
    if agent.ticks:
        heard.setdefault(TICK_TOPIC, set()).add("")
    return heard


class Rooms:
    """Builds the ports of agents; each outside resource once, when an agent that needs it is asked for."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        directory: Directory,
        data: Path,
        whatsapp: Any,
        store: Callable[[], Store],
        *,
        public_url: str,
        own_url: str,
        payment_secret: str,
        metrics: PrometheusMetrics,
        tracing: Tracing = OFF,
        services: Services | None = None,
    ) -> None:
        """`whatsapp` is the `WhatsAppSettings` of this process; `data` the folder of catalogues and shipping rates;
        `store` gives this process's store once it runs; `own_url` is where it hears the mock provider's callbacks, which are
        signed with `payment_secret`; `services` tells where the sellers are that may sleep."""
        self._settings = settings
        self._clock = clock
        self._directory = directory
        self._data = data
        self._whatsapp = whatsapp
        self._store = store
        self._public_url = public_url
        self._own_url = own_url
        self._payment_secret = payment_secret
        self.callbacks: Callbacks | None = None
        """How a payment provider's callbacks are read, where `payments` runs."""
        self.bank: MockBank | None = None
        """Who pays a Pix where no money moves."""
        self._media_store: MediaStore | None = None
        self._metrics = metrics
        self._tracing = tracing
        self._services = services
        self._closers: list[Callable[[], Awaitable[None]]] = []

    def ports(self, agents: Iterable[str]) -> dict[type[Any], object]:
        ports: dict[type[Any], object] = {Directory: self._directory}
        for name in dict.fromkeys(agents):
            build: Callable[[], dict[type[Any], object]] | None = getattr(self, f"_{name}_ports", None)
            if build is not None:
                ports.update(build())
        return ports

    async def start(self) -> None:
        """Once the store runs and HTTP is served."""
        if self.bank is not None:
            await self.bank.start()

    async def close(self) -> None:
        for close in reversed(self._closers):
            await close()
        self._closers.clear()

    # --- one method an agent ------------------------------------------------------------------------------------

    def _whatsapp_ports(self) -> dict[type[Any], object]:
        from agent_store.adapters.whatsapp.graph import GraphClient
        from agent_store.agents.whatsapp.ports import WhatsAppApi, WhatsAppSettings

        graph = GraphClient(self._whatsapp)
        self._closers.append(graph.close)
        api = TracedWhatsApp(graph, self._tracing, self._whatsapp.graph_url)
        return {WhatsAppSettings: self._whatsapp, WhatsAppApi: api, **self._media_ports()}

    def media_store(self) -> MediaStore:
        """Where customers' media are kept."""
        from agent_store.entrypoints.media import make_media_store

        if self._media_store is None:
            self._media_store = make_media_store(self._settings, self._clock, self._closers)
        return self._media_store

    def _media_ports(self) -> dict[type[Any], object]:
        from agent_store.adapters.whatsapp.media import GraphMedia
        from agent_store.adapters.whatsapp.pictures import WebPictures
        from agent_store.agents.whatsapp.ports import (
            MediaApi,
            MediaSlots,
            MediaStore,
            Pictures,
            Senses,
        )
        from agent_store.entrypoints.media import make_senses

        settings = self._settings
        hosts = settings.whatsapp_media_hosts.split(",")
        api = GraphMedia(self._whatsapp, hosts=hosts, timeout=settings.whatsapp_media_timeout)
        pictures = WebPictures(self._public_url)
        self._closers += [api.close, pictures.close]
        return {
            MediaSlots: MediaSlots(MEDIA_AT_ONCE),
            MediaApi: api,
            MediaStore: self.media_store(),
            Senses: make_senses(settings, self._closers),
            Pictures: pictures,
        }

    def _conversations_ports(self) -> dict[type[Any], object]:
        from agent_store.agents.conversations.permission import Caps
        from agent_store.agents.conversations.ports import Sellers
        from agent_store.agents.conversations.quiet import QuietHours
        from agent_store.agents.conversations.settings import ConversationsSettings

        settings = self._settings
        return {
            ConversationsSettings: ConversationsSettings(
                burst_window=settings.burst_window,
                burst_max=max(settings.burst_max, settings.burst_window),
                turn_limit=settings.turn_limit + timedelta(seconds=30),
                test_mode=settings.payment_test_mode,
                hasty_pause=settings.customer_pause,
                quiet=QuietHours(settings.quiet_from, settings.quiet_until),
                caps=Caps(settings.contacts_a_day, settings.contacts_a_week),
            ),
            Sellers: self._sellers(),
        }

    def _sellers(self) -> Sellers:
        from agent_store.agents.conversations.ports import SellersAwake

        if self._services is None or self._settings.bus != "knative":
            return SellersAwake()
        from agent_store.adapters.http.waking import SellersByRequest

        sellers = SellersByRequest(self._services, self._metrics)
        self._closers.append(sellers.close)
        return sellers

    def _seller_ports(self) -> dict[type[Any], object]:
        from agent_store.adapters.brains.rules import RulesBrain
        from agent_store.agents.seller.service import SellerBrains
        from agent_store.agents.seller.settings import SellerSettings
        from agent_store.entrypoints.brains import make_brain

        settings = self._settings
        rules = ObservedBrain(RulesBrain(), self._tracing, self._metrics)
        main = rules if settings.brain == "rules" else ObservedBrain(make_brain(settings), self._tracing, self._metrics)
        self._closers.append(rules.close)
        if main is not rules:
            self._closers.append(main.close)
        return {
            SellerBrains: SellerBrains(main=main, rules=rules),
            SellerSettings: SellerSettings(
                max_steps=settings.turn_steps,
                max_tokens=settings.turn_tokens,
                turn_time=settings.turn_limit,
                think_time=settings.model_timeout,
                history=settings.context_messages,
                intents=settings.emit_intents,
                **token_rates(settings),
            ),
        }

    def _cart_ports(self) -> dict[type[Any], object]:
        from agent_store.agents.cart.settings import CartSettings

        return {CartSettings: CartSettings()}

    def _orders_ports(self) -> dict[type[Any], object]:
        from agent_store.agents.orders.settings import OrdersSettings

        return {OrdersSettings: OrdersSettings(payment_window=self._settings.payment_window)}

    def _payments_ports(self) -> dict[type[Any], object]:
        from agent_store.adapters.payments.bank import MockBank
        from agent_store.adapters.payments.callbacks import SignedCallbacks
        from agent_store.adapters.payments.mock import MockPaymentProvider, Receiver
        from agent_store.agents.payments.ports import PaymentProvider
        from agent_store.agents.payments.settings import PaymentsSettings

        settings = self._settings
        receiver = Receiver(settings.pix_name, settings.pix_city, settings.pix_key)
        provider = MockPaymentProvider(self._clock, self._store, receiver)
        callbacks = SignedCallbacks("mock", self._payment_secret, self._clock)
        bank = MockBank(provider, callbacks, f"{self._own_url}/webhooks/payments/{callbacks.name}")
        self.callbacks, self.bank = callbacks, bank
        self._closers.append(bank.close)
        return {PaymentsSettings: PaymentsSettings(public_url=self._public_url), PaymentProvider: provider}

    def _fulfillment_ports(self) -> dict[type[Any], object]:
        from agent_store.adapters.directory import read_yaml
        from agent_store.agents.fulfillment.model import ShippingTable
        from agent_store.agents.fulfillment.service import FulfillmentSettings

        table = ShippingTable.from_dict(dict(read_yaml(self._data / "shipping.yaml")))
        return {ShippingTable: table, FulfillmentSettings: FulfillmentSettings()}

    def _inventory_ports(self) -> dict[type[Any], object]:
        from agent_store.agents.inventory.service import InventorySettings

        return {InventorySettings: InventorySettings()}


def all_agents() -> list[Agent]:
    return [agent_named(name) for name in all_names()]


def all_consumers(directory: Directory, listed: Iterable[str] = ()) -> Sequence[Consumer]:
    """Of every agent, and of every brand. `listed`: names of consumers that are deployed; a seller among them is there
    while its brand is not (before it opens, and until the last of its events is handled)."""
    deployed = [
        name for name in listed
        if (parts := name.partition("/"))[0] in A_BRAND_EACH and BRAND_ID.fullmatch(parts[2])
    ]  # fmt: skip
    return consumers_of([*all_names(), *deployed], directory, live=True)
