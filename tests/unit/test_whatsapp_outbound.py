"""Building the body of a send."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.agents.whatsapp.outbound import payload
from agent_store.contracts.whatsapp import (
    OutButtons,
    OutChoice,
    OutContent,
    OutImage,
    OutList,
    OutText,
    WhatsAppMessageSend,
)
from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.ids import ConversationId, CustomerId

PUBLIC = "https://shop.example/"


def command(content: OutContent, **more: Any) -> WhatsAppMessageSend:
    values: dict[str, Any] = {
        "send_id": "send-1",
        "conversation_id": ConversationId("conversation-1"),
        "customer_id": CustomerId("customer-1"),
        "number": 1,
        "phone_number_id": "219870000000001",
        "to": "5511988880001",
        "content": content,
    }
    return WhatsAppMessageSend(**(values | more))


def choices(count: int, **more: Any) -> tuple[OutChoice, ...]:
    return tuple(OutChoice(id=f"id-{n}", title=f"Opção {n}", **more) for n in range(count))


def test_a_text_goes_to_a_phone_number_with_its_send_id() -> None:
    assert payload(command(OutText(text="Olá!")), PUBLIC) == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "5511988880001",
        "biz_opaque_callback_data": "send-1",
        "type": "text",
        "text": {"body": "Olá!"},
    }


def test_a_customer_without_a_number_is_addressed_by_the_scoped_id() -> None:
    body = payload(command(OutText(text="Olá!"), to="BR.9081", to_kind="user"), PUBLIC)
    assert body["recipient"] == "BR.9081"
    assert "to" not in body


def test_a_reply_names_the_message_that_it_answers() -> None:
    body = payload(command(OutText(text="Sim", preview_url=True), reply_to="wamid.X"), PUBLIC)
    assert body["context"] == {"message_id": "wamid.X"}
    assert body["text"] == {"body": "Sim", "preview_url": True}


def test_the_stores_own_pictures_get_its_public_address() -> None:
    own = payload(command(OutImage(link="/media/products/aurora.png", caption="Aurora")), PUBLIC)
    assert own["image"] == {"link": "https://shop.example/media/products/aurora.png", "caption": "Aurora"}
    other = payload(command(OutImage(link="https://cdn.example/a.png")), PUBLIC)
    assert other["image"] == {"link": "https://cdn.example/a.png"}


def test_buttons_with_a_picture() -> None:
    content = OutButtons(text="Leva?", choices=choices(2), image="/media/products/a.png")
    assert payload(command(content), PUBLIC)["interactive"] == {
        "type": "button",
        "header": {"type": "image", "image": {"link": "https://shop.example/media/products/a.png"}},
        "body": {"text": "Leva?"},
        "action": {
            "buttons": [
                {"type": "reply", "reply": {"id": "id-0", "title": "Opção 0"}},
                {"type": "reply", "reply": {"id": "id-1", "title": "Opção 1"}},
            ]
        },
    }


def test_a_list_has_its_rows_behind_one_button() -> None:
    content = OutList(text="Categorias", button="Ver", choices=choices(2, description="42 produtos"))
    assert payload(command(content), PUBLIC)["interactive"] == {
        "type": "list",
        "body": {"text": "Categorias"},
        "action": {
            "button": "Ver",
            "sections": [
                {
                    "rows": [
                        {"id": "id-0", "title": "Opção 0", "description": "42 produtos"},
                        {"id": "id-1", "title": "Opção 1", "description": "42 produtos"},
                    ]
                }
            ],
        },
    }


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (OutText(text=""), "text"),
        (OutText(text=" \n"), "text"),
        (OutText(text="a" * 4097), "4097"),
        (OutImage(link="/media/a.png", caption="a" * 1025), "caption"),
        (OutImage(link="file:///etc/passwd"), "link"),
        (OutButtons(text="?", choices=(OutChoice(id="a", title="x" * 21),)), "button title"),
        (OutButtons(text="?", choices=(OutChoice(id=" ", title="x"),)), "button id"),
        (OutButtons(text="?", choices=(OutChoice(id="a", title="x"), OutChoice(id="a", title="y"))), "same id"),
        (OutButtons(text="?", choices=(OutChoice(id="a", title="x"), OutChoice(id="b", title="x"))), "same title"),
        (OutList(text="?", button="Ver", choices=(OutChoice(id="i" * 201, title="x"),)), "row id"),
        (OutList(text="?", button="", choices=choices(1)), "button"),
    ],
)
def test_what_is_over_a_limit_is_refused_by_name(content: OutContent, named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        payload(command(content), PUBLIC)


def test_the_limits_themselves_are_allowed() -> None:
    payload(command(OutText(text="a" * 4096)), PUBLIC)
    payload(command(OutButtons(text="a" * 1024, choices=(OutChoice(id="i" * 256, title="x" * 20),))), PUBLIC)
    rows = (OutChoice(id="i" * 200, title="x" * 24, description="d" * 72), *choices(9))
    payload(command(OutList(text="a" * 4096, button="b" * 20, choices=rows)), PUBLIC)


@given(st.text(min_size=1, max_size=4096))
def test_any_text_within_the_limit_arrives_as_it_is(text: str) -> None:
    try:
        body = payload(command(OutText(text=text)), PUBLIC)
    except InvalidInput:
        assert not text.strip()
    else:
        assert body["text"]["body"] == text
