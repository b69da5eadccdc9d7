"""Reading webhook bodies, and how far a send may move."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.agents.whatsapp.model import BadDelivery, Delivery, Inbound, advances, parse

FIXTURES = Path(__file__).parent.parent / "fixtures" / "whatsapp"


def read(name: str) -> Delivery:
    return parse((FIXTURES / f"{name}.json").read_bytes())


def envelope(*messages: Any, contacts: Any = None, **more: Any) -> bytes:
    value = {"metadata": {"phone_number_id": "1"}, "contacts": contacts or [], "messages": list(messages), **more}
    return json.dumps({"entry": [{"changes": [{"field": "messages", "value": value}]}]}).encode()


def only(delivery: Delivery) -> Inbound:
    assert len(delivery.messages) == 1
    return delivery.messages[0]


def test_a_text_brings_who_wrote_what_to_which_number_and_when() -> None:
    message = only(read("text"))
    assert message.kind == "text"
    assert message.content.text == "Oi! Tem vestido azul tamanho M?"
    assert (message.sender, message.wa_id, message.user_id) == ("5511988880001", "5511988880001", None)
    assert message.profile_name == "Marina Prado"
    assert message.phone_number_id == "219870000000001"
    assert message.sent_at == datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "text", "payload"),
    [
        ("interactive_button", "Quero este", "cart:add:VES-AURORA-AZ-M"),
        ("interactive_list", "Vestidos", "category:vestidos"),
    ],
)
def test_a_tap_brings_the_id_and_the_message_it_belongs_to(name: str, text: str, payload: str) -> None:
    message = only(read(name))
    assert (message.kind, message.content.text, message.content.payload) == ("interactive", text, payload)
    assert message.context_wamid is not None


def test_every_message_and_status_of_every_entry_and_change_is_read() -> None:
    delivery = read("several")
    assert [message.content.text for message in delivery.messages] == ["oi", "tudo bem?", "quanto custa o fone?"]
    assert [message.phone_number_id[-1] for message in delivery.messages] == ["1", "1", "2"]
    assert [(status.send_id, status.status) for status in delivery.statuses] == [("send-0001", "delivered")]
    assert delivery.other_fields == ["account_update"]
    assert delivery.oddities == 0
    assert delivery.numbers() == {"219870000000001", "219870000000002"}


def test_media_bring_id_type_and_caption() -> None:
    found = [
        (m.kind, m.content.media and m.content.media.id, m.content.media and m.content.media.mime_type, m.content.text)
        for m in read("media").messages
    ]
    assert found == [
        ("image", "880000000000001", "image/jpeg", "tem igual a esse?"),
        ("audio", "880000000000002", "audio/ogg; codecs=opus", ""),
        ("video", "880000000000003", "video/mp4", ""),
        ("document", "880000000000004", "application/pdf", "comprovante.pdf"),
        ("sticker", "880000000000005", "image/webp", ""),
    ]


def test_every_other_kind_is_read_or_kept_as_unsupported() -> None:
    found = [(m.kind, m.content.text, m.content.payload) for m in read("other_kinds").messages]
    assert found == [
        ("location", "Loja Paulista, Av. Paulista, 1578 (-23.561414,-46.655881)", None),
        ("contacts", "Tia Célia", None),
        ("reaction", "😍", None),
        ("button", "Quero a oferta", "offer:yes"),
        ("order", "entrega hoje?\n2 x VES-AURORA-AZ-M", None),
        ("system", "A pessoa mudou de número", "5511988889999"),
        ("referral", "Coleção de verão\nVestidos leves", None),
        ("text", "vi o anúncio", None),
        ("unsupported", "", None),
        ("unsupported", "", None),
    ]
    assert [m.content.unsupported_type for m in read("other_kinds").messages[-2:]] == ["hologram", "text"]
    assert read("other_kinds").messages[2].context_wamid == "wamid.HBgMT1VUMDAwMDAwMQ=="


def test_an_unsupported_message_names_what_it_was() -> None:
    message = only(read("unsupported"))
    assert (message.kind, message.content.unsupported_type) == ("unsupported", "poll")


def test_a_customer_without_a_phone_number_is_known_by_the_scoped_id() -> None:
    message = only(read("bsuid"))
    assert (message.sender, message.wa_id, message.user_id) == (
        "BR.90817263544536271809",
        None,
        "BR.90817263544536271809",
    )
    assert message.profile_name == "Nina"


def test_a_scoped_id_in_the_place_of_the_number_is_not_taken_for_one() -> None:
    message = only(parse(envelope({"from": "BR.42", "id": "w", "type": "text", "text": {"body": "oi"}})))
    assert (message.wa_id, message.user_id) == (None, "BR.42")


def test_a_sender_is_taken_from_the_contact_when_the_message_does_not_say() -> None:
    body = envelope(
        {"id": "w", "type": "text", "text": {"body": "oi"}}, contacts=[{"wa_id": "5511", "user_id": "BR.1"}]
    )
    message = only(parse(body))
    assert (message.sender, message.wa_id, message.user_id) == ("5511", "5511", "BR.1")


def test_statuses_carry_the_send_id_and_the_reason_of_a_failure() -> None:
    (status,) = read("status_failed").statuses
    assert (status.send_id, status.status, status.error_code) == ("send-0001", "failed", 131026)
    assert status.error == "Message undeliverable: The customer's app is too old for this message."
    (other,) = read("bsuid_status").statuses
    assert (other.send_id, other.status) == ("send-0001", "delivered")


def test_complaints_about_the_account_are_read() -> None:
    (complaint,) = read("account_error").complaints
    assert (complaint.code, complaint.phone_number_id) == (130429, "219870000000001")


def test_a_card_number_is_taken_out_of_every_part_that_is_kept() -> None:
    card = "4111 1111 1111 1111"
    body = envelope(
        {"from": "5511", "id": "w1", "type": "text", "text": {"body": f"meu cartão: {card}"}},
        {"from": "5511", "id": "w2", "type": "image", "image": {"id": "9", "caption": card}},
        {"from": "5511", "id": "w3", "type": "oracle", "oracle": {"deep": [{"saying": card, "n": 4111111111111111}]}},
        contacts=[{"wa_id": "5511", "profile": {"name": f"Ana {card}"}}],
    )
    for message in parse(body).messages:
        for part in (message.raw, message.content.text, message.profile_name or ""):
            assert "1111 1111" not in part
            assert "4111111111111111" not in part


def test_ids_that_only_look_like_cards_stay() -> None:
    body = envelope(
        {"from": "4111111111111111", "id": "4111111111111111", "type": "image", "image": {"id": "4242424242424242"}}
    )
    message = only(parse(body))
    assert message.wamid == message.sender == "4111111111111111"
    assert message.content.media is not None
    assert message.content.media.id == "4242424242424242"
    assert "4242424242424242" in message.raw


@pytest.mark.parametrize(
    "message",
    [
        {"type": "text", "text": {"body": 7}},
        {"type": "image", "image": {"caption": "sem id"}},
        {"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {"name": "flow"}}},
        {"type": "button", "button": {"payload": "x"}},
        {"type": "location", "location": {"latitude": "norte"}},
        {"type": "contacts", "contacts": {}},
        {"type": "reaction", "reaction": None},
        {"type": "order", "order": []},
        {"type": "referral"},
        {"type": "system", "system": "mudou"},
    ],
)
def test_a_known_kind_with_a_broken_body_is_kept_as_unsupported(message: dict[str, Any]) -> None:
    kept = only(parse(envelope({"from": "5511", "id": "w", **message})))
    assert (kept.kind, kept.content.unsupported_type) == ("unsupported", message["type"])


def test_half_filled_bodies_bring_what_they_have() -> None:
    items = [7, {"quantity": 3}, {"product_retailer_id": "SKU-1"}]
    body = envelope(
        {"from": "1", "id": "a", "type": "order", "order": {"product_items": items}},
        {"from": "1", "id": "b", "type": "location", "location": {"latitude": 1, "longitude": 2}},
        {"from": "1", "id": "c", "type": "reaction", "reaction": {"message_id": "w"}},
        {"from": "1", "id": "d", "type": "oracle", "oracle": {"depth": 1e20, "n": 4111111111111112.0}},
        contacts=[{"wa_id": "2", "profile": {"name": "Zé"}}, {"wa_id": "1", "profile": {"username": "ana.s"}}],
    )
    kept = parse(body).messages
    assert [message.content.text for message in kept] == ["1 x SKU-1", "1.000000,2.000000", "", ""]
    assert {message.profile_name for message in kept} == {"ana.s"}


def test_a_message_without_an_id_is_known_by_its_content() -> None:
    body = envelope({"from": "5511", "type": "text", "text": {"body": "oi"}})
    first, again = only(parse(body)), only(parse(body))
    assert first.wamid == again.wamid
    assert first.wamid.startswith("none.")


@pytest.mark.parametrize(
    "timestamp", [None, "", "amanhã", "-1", "99999999999999", 1e300, True, {}, "١٢٣x", "253402300800"]
)
def test_a_broken_time_is_none(timestamp: Any) -> None:
    body = envelope({"from": "5511", "id": "w", "timestamp": timestamp, "type": "text", "text": {"body": "oi"}})
    assert only(parse(body)).sent_at is None


def test_a_cut_off_emoji_does_not_lose_the_message() -> None:
    body = rb'{"entry":[{"changes":[{"value":{"messages":[{"from":"1","id":"w","type":"text","text":{"body":"oi \ud83d"}}]}}]}]}'
    assert only(parse(body)).content.text == "oi \ufffd"


def test_a_nul_is_replaced() -> None:
    body = rb'{"entry":[{"changes":[{"value":{"messages":[{"from":"1","id":"w","type":"text","text":{"body":"a\u0000b"}}]}}]}]}'
    message = only(parse(body))
    assert message.content.text == "a\ufffdb"
    assert "\\u0000" not in message.raw


@pytest.mark.parametrize(
    "body",
    [b"", b"oi", b"[]", b'"x"', b"7", b"null", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"1" * 9_999],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadDelivery):
        parse(body)


def test_parts_of_an_unexpected_shape_are_counted_and_the_rest_is_read() -> None:
    body = json.dumps({
        "entry": [
            7,
            {"changes": "no"},
            {"changes": [{"field": "messages", "value": []}, {"value": {"statuses": [{"status": "sent"}, {"id": "w"}]}}]},
            {"changes": [{"value": {"messages": [None, {"from": 5511, "id": 8, "type": ["text"]}], "errors": [[]]}}]},
        ]
    }).encode()  # fmt: skip
    delivery = parse(body)
    assert delivery.oddities == 7
    message = only(delivery)
    assert (message.wamid, message.sender, message.kind) == ("8", "5511", "unsupported")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
KINDS = ["text", "image", "interactive", "button", "location", "contacts", "reaction", "order", "system", "referral"]
messages = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("id", "from", "from_user_id", "timestamp", "context", "errors", *KINDS), json_values),
        "type": st.sampled_from(KINDS) | json_values,
    },
)


@given(message=messages, contacts=json_values)
def test_any_message_object_is_kept_as_one_message(message: dict[str, Any], contacts: Any) -> None:
    value = {"metadata": {"phone_number_id": "1"}, "messages": [message], "contacts": contacts}
    body = json.dumps({"entry": [{"changes": [{"value": value}]}]}).encode()
    kept = only(parse(body))
    assert kept.wamid
    kept.raw.encode()
    kept.content.model_dump_json()


@given(json_values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    try:
        parse(json.dumps(value).encode())
    except BadDelivery:
        assert not isinstance(value, dict)


def test_a_send_moves_forward_only() -> None:
    ladder = ["queued", "uncertain", "sent", "delivered", "read"]
    for index, state in enumerate(ladder):
        for later, to in enumerate(ladder[1:], start=1):
            assert advances(state, to) is (later > index)  # type: ignore[arg-type]


def test_a_failure_ends_a_send_that_was_not_delivered() -> None:
    assert advances("sent", "failed")
    assert advances("uncertain", "failed")
    assert not advances("delivered", "failed")
    assert not advances("read", "failed")
    assert not any(advances("failed", to) for to in ("sent", "delivered", "read", "failed", "uncertain"))
