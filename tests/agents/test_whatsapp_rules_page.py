"""`docs/whatsapp-rules.md`: its example runs, and what it names is there."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

from agent_store.agents.assistant.agent import assistant
from agent_store.agents.conversations.agent import conversations
from agent_store.agents.conversations.wishes import wants_contact
from agent_store.contracts.chat import CustomerContacted
from agent_store.contracts.orders import OrderDelivered
from agent_store.contracts.templates import TEMPLATES
from agent_store.contracts.whatsapp import Purpose
from agent_store.entrypoints.settings import table
from tests.agents.test_conversations_notices import fact
from tests.support.chat import ChatStore

PAGE = (Path(__file__).parents[2] / "docs" / "whatsapp-rules.md").read_text("utf-8")


async def test_the_pages_agent_asks_two_days_after_the_delivery() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    found: dict[str, Any] = {}
    exec(compile(code, "docs/whatsapp-rules.md", "exec"), found)  # noqa: S102 (the page's own example)
    async with ChatStore(agents=(conversations, assistant, found["follow_up"])) as store:
        await store.write("Oi, quero um vestido")
        await store.answer("Olá!")
        await store.publish(fact(store, OrderDelivered, 1))
        await store.settle()
        await store.move(timedelta(days=1, hours=23))
        assert store.events(CustomerContacted) == []
        await store.move(timedelta(hours=1))
        assert [(event.contact_id, event.outcome) for event in store.events(CustomerContacted)] == [
            ("survey:o-1", "sent")
        ]
        sent = store.sent[-1]
        assert sent.template is not None
        assert (sent.purpose, sent.template.name) == ("survey", "survey")


def test_every_template_purpose_and_setting_is_told() -> None:
    for name in (*TEMPLATES, *get_args(Purpose)):
        assert f"`{name}`" in PAGE
    for variable in re.findall(r"AGENT_STORE_\w+", PAGE):
        assert variable in {name for name, _, _ in table()}


def test_the_words_of_the_page_mean_what_it_says() -> None:
    no, yes, capitals = re.findall(r"^\| (\*.*?) \|", PAGE, re.MULTILINE)
    for row, granted in ((no, False), (yes, True), (capitals, True)):
        words = re.findall(r"\*([^*]+)\*", row)
        assert len(words) >= 3
        assert all(wants_contact(word) is granted for word in words)
