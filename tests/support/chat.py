"""Customers that write to the store, for tests of conversations: a directory of brands and a phone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any, Self

from agent_store.agents.assistant.agent import assistant
from agent_store.agents.conversations.agent import conversations
from agent_store.agents.conversations.ports import Sellers
from agent_store.agents.conversations.settings import ConversationsSettings
from agent_store.contracts.brands import Brand, Directory, SharedNumber
from agent_store.contracts.chat import ChatMessageNew, ChatResponse, TextBlock
from agent_store.contracts.whatsapp import InboundContent, WhatsAppMessageReceived, WhatsAppMessageSend
from agent_store.kernel.clock import ManualClock
from tests.support.store import TestStore

SHARED = "900"
FASHION, TECH, HOME, BEAUTY, GAMING = "901", "902", "903", "904", "905"

BRANDS = (
    Brand(
        id="fashion", name="Moda Viva", seller="Luna", focus="Roupas, calçados e acessórios", phone_number_ids=(FASHION,),
        keywords={
            "pt": ("vestido", "calça", "sapato", "blusa", "bolsa", "saia", "roupa", "tênis"),
            "en": ("dress", "shoe", "skirt", "clothes", "bag", "shirt"),
            "es": ("vestido", "zapato", "falda", "pantalón", "ropa"),
        },
    ),
    Brand(
        id="tech", name="TechZone", seller="Max", focus="Celulares e informática", phone_number_ids=(TECH,),
        keywords={
            "pt": ("celular", "notebook", "fone", "carregador", "teclado"),
            "en": ("phone", "laptop", "headphones", "charger", "keyboard"),
            "es": ("celular", "portátil", "auriculares", "cargador", "teclado"),
        },
    ),
    Brand(
        id="home", name="Casa & Lar", seller="Sofia", focus="Casa e decoração", phone_number_ids=(HOME,),
        keywords={
            "pt": ("sofá", "almofada", "luminária", "tapete", "panela"),
            "en": ("sofa", "pillow", "lamp", "rug"), "es": ("sofá", "almohada", "lámpara", "alfombra"),
        },
    ),
    Brand(
        id="beauty", name="Bella", seller="Bella", focus="Beleza e cuidados", phone_number_ids=(BEAUTY,),
        keywords={
            "pt": ("batom", "perfume", "hidratante", "maquiagem", "pincel"),
            "en": ("lipstick", "perfume", "makeup"), "es": ("labial", "perfume", "maquillaje"),
        },
    ),
    Brand(
        id="gaming", name="Pixel Games", seller="Pixel", focus="Jogos e consoles", phone_number_ids=(GAMING,),
        keywords={
            "pt": ("jogo", "console", "videogame", "controle", "cadeira gamer", "teclado gamer"),
            "en": ("game", "console", "controller", "gaming chair"), "es": ("juego", "consola", "mando"),
        },
    ),
)  # fmt: skip


class FixedDirectory(Directory):
    """Brands as given; a test may change the list while the store runs."""

    def __init__(self, brands: Sequence[Brand] = BRANDS) -> None:
        self.all = list(brands)

    def brands(self) -> Sequence[Brand]:
        return self.all

    def brand(self, brand_id: str) -> Brand | None:
        return next((brand for brand in self.all if brand.id == brand_id), None)

    def by_number(self, phone_number_id: str) -> Brand | None:
        return next((brand for brand in self.all if phone_number_id in brand.phone_number_ids), None)

    def is_known(self, phone_number_id: str) -> bool:
        return phone_number_id == SHARED or self.by_number(phone_number_id) is not None

    def house_prompt(self) -> str:
        return ""

    @property
    def shared(self) -> SharedNumber:
        return SharedNumber(phone_number_ids=(SHARED,))


class ChatStore(TestStore):
    """Conversations and the human queue, with a phone to write from."""

    __test__ = False

    def __init__(
        self,
        *,
        directory: FixedDirectory | None = None,
        agents: Sequence[Any] = (conversations, assistant),
        **settings: Any,
    ) -> None:
        self.directory = directory or FixedDirectory()
        settings.setdefault("burst_window", timedelta(0))
        self.woken: list[str] = []
        super().__init__(
            agents,
            ports={
                Directory: self.directory,
                ConversationsSettings: ConversationsSettings(**settings),
                Sellers: self,
            },
            clock=ManualClock(),
        )
        self._wamids = count(1)

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        return self

    def wake(self, brand: str) -> None:
        self.woken.append(brand)

    async def write(
        self,
        text: str = "",
        *,
        to: str = FASHION,
        wa_id: str | None = "5511999990000",
        user_id: str | None = None,
        kind: Any = "text",
        payload: str | None = None,
        name: str | None = "Ana",
        hasty: bool = False,
    ) -> None:
        """The customer writes (or taps, with a payload), and the store settles."""
        await self.publish(
            WhatsAppMessageReceived(
                wamid=f"wamid.{next(self._wamids)}",
                phone_number_id=to,
                sender=wa_id or user_id or "",
                wa_id=wa_id,
                user_id=user_id,
                profile_name=name,
                kind="interactive" if payload is not None and kind == "text" else kind,
                content=InboundContent(text=text, payload=payload),
                sent_at=self.clock.now(),
                hasty=hasty,
            ),
            channel="whatsapp",
        )
        await self.settle()

    @property
    def turns(self) -> list[ChatMessageNew]:
        return [turn for turn in self.events(ChatMessageNew) if turn.addressee == "bot"]

    @property
    def for_people(self) -> list[ChatMessageNew]:
        return [turn for turn in self.events(ChatMessageNew) if turn.addressee == "person"]

    @property
    def sent(self) -> list[WhatsAppMessageSend]:
        return self.events(WhatsAppMessageSend)

    @property
    def said(self) -> list[str]:
        return [getattr(send.content, "text", "") for send in self.sent]

    async def answer(self, text: str = "ok!", *, turn: ChatMessageNew | None = None, **changes: Any) -> None:
        """The bot answers a turn (default: the last one granted)."""
        turn = turn or self.turns[-1]
        values: dict[str, Any] = {
            "conversation_id": turn.conversation_id,
            "customer_id": turn.customer_id,
            "lease_token": turn.lease_token,
            "turn": turn.number,
            "blocks": (TextBlock(text=text),) if text else (),
            "author_name": "Luna",
            **changes,
        }
        await self.publish(ChatResponse(**values), brand=turn.brand)
        await self.settle()
