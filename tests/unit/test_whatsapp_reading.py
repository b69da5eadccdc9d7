"""Reading webhook bodies: messages, what becomes of them, statuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.agents.whatsapp.model import BadDelivery, Delivery, Inbound, Revision
from agent_store.agents.whatsapp.reading import parse, read_again

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
    assert [news.state for news in delivery.news] == ["ACCOUNT_UPDATE"]
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
        ("document", "880000000000004", "application/pdf", ""),
        ("sticker", "880000000000005", "image/webp", ""),
    ]


def test_every_other_kind_is_read_or_kept_as_unsupported() -> None:
    found = [(m.kind, m.content.text, m.content.payload) for m in read("other_kinds").messages]
    assert found == [
        ("location", "", None),
        ("contacts", "", None),
        ("reaction", "😍", None),
        ("button", "Quero a oferta", "offer:yes"),
        ("order", "entrega hoje?", None),
        ("system", "A pessoa mudou de número", None),
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
    named = "nfm_reply" if message["type"] == "interactive" else message["type"]
    assert (kept.kind, kept.content.unsupported_type) == ("unsupported", named)


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
    assert [message.kind for message in kept] == ["order", "location", "reaction", "unsupported"]
    assert kept[0].content.order is not None
    assert [(item.retailer_id, item.quantity) for item in kept[0].content.order.items] == [("SKU-1", 1)]
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


# --- every kind ------------------------------------------------------------------------------------------------------


def message(name: str) -> Inbound:
    return only(read(f"messages/{name}"))


def content(name: str) -> dict[str, Any]:
    return message(name).content.model_dump(exclude_defaults=True)


def revision(name: str) -> Revision:
    delivery = read(f"messages/{name}")
    assert delivery.messages == []
    (found,) = delivery.revisions
    return found


EVERY = sorted(path.relative_to(FIXTURES).with_suffix("").as_posix() for path in FIXTURES.rglob("*.json"))


@pytest.mark.parametrize("name", EVERY)
def test_no_recorded_payload_is_odd(name: str) -> None:
    assert read(name).oddities == 0


def test_a_voice_note_is_told_from_a_file() -> None:
    assert content("voice")["media"]["voice"] is True
    assert "voice" not in content("audio")["media"]
    assert message("voice").kind == message("audio").kind == "audio"


def test_a_document_has_its_name_and_its_caption() -> None:
    assert content("document_captioned") == {
        "text": "a nota da troca",
        "media": {"id": "880000000000108", "mime_type": "application/pdf", "filename": "nota fiscal.pdf"},
    }


def test_a_place_has_its_coordinates_and_maybe_a_name() -> None:
    assert content("location") == {"place": {"latitude": -23.561414, "longitude": -46.655881}}
    assert content("location_named")["place"]["name"] == "Loja Paulista"
    assert content("location_named")["place"]["address"] == "Av. Paulista, 1578"


@pytest.mark.parametrize(("latitude", "longitude"), [(90.1, 0), (0, -180.5), (True, 0), (10**400, 0), ("1", 0)])
def test_a_place_that_is_nowhere_on_earth_is_unsupported(latitude: Any, longitude: Any) -> None:
    place = {"type": "location", "id": "w", "location": {"latitude": latitude, "longitude": longitude}}
    assert only(parse(envelope(place))).kind == "unsupported"


def test_of_contact_cards_only_the_names_are_told() -> None:
    assert content("contacts") == {"people": ("Tia Célia", "Beto Costura")}


@pytest.mark.parametrize("name", ["reaction_removed", "reaction_emptied"])
def test_a_reaction_without_an_emoji_was_taken_back(name: str) -> None:
    assert content(name) == {"removed": True}
    assert message(name).context_wamid == "wamid.HBgMT1VUMDAwMDAwMQ=="
    assert content("reaction") == {"text": "😍"}


def test_the_answers_of_a_flow_are_a_form_and_its_body_is_nobodys_words() -> None:
    assert content("interactive_flow") == {
        "form": {"flow_token": "pesquisa-77", "nota": "5", "comentario": "chegou rápido", "tamanhos": ["M", "G"]}
    }
    assert message("interactive_flow").context_wamid is not None
    assert content("interactive_address")["text"].startswith("Marina Prado")
    assert content("interactive_address")["form"]["values"]["in_pin_code"] == "01310100"


def flow(written: Any) -> Inbound:
    reply = {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": written}}
    return only(parse(envelope({"from": "1", "id": "w", "type": "interactive", "interactive": reply})))


@pytest.mark.parametrize(
    "written",
    [None, 7, "", "{", "[]", "7", '{"a":' * 13 + "1" + "}" * 13, '{"a":' * 90_000, json.dumps({"a": "x" * 70_000})],
)
def test_a_form_that_cannot_be_read_is_unsupported(written: Any) -> None:
    kept = flow(written)
    assert (kept.kind, kept.content.unsupported_type) == ("unsupported", "nfm_reply")


def test_a_form_holds_nothing_that_a_database_or_another_program_cannot_take() -> None:
    kept = flow(
        '{"nul": "a\\u0000b", "half": "\\ud83d", "nan": NaN, "inf": -Infinity, "big": 1e999, "id": ' + "9" * 30 + "}"
    )
    form = kept.content.form
    assert form == {"nul": "a\ufffdb", "half": "\ufffd", "nan": None, "inf": None, "big": None, "id": 1e30}
    json.dumps(form, allow_nan=False).encode()


def test_a_card_number_in_a_form_is_taken_out() -> None:
    kept = flow(json.dumps({"pagamento": {"cartao": "4111 1111 1111 1111"}, "numero": 4111111111111111}))
    assert "1111" not in str(kept.content.form)
    assert "4111" not in kept.raw


def test_a_catalogue_order_has_products_and_quantities_and_never_a_price() -> None:
    assert content("order") == {
        "text": "entrega hoje?",
        "order": {
            "catalog_id": "660000000000001",
            "items": (
                {"retailer_id": "FAS-VAURORA-VM-M", "quantity": 2},
                {"retailer_id": "FAS-VAURORA-VM-G", "quantity": 1},
            ),
        },
    }


@pytest.mark.parametrize(
    ("quantity", "taken"),
    [(3, [3]), ("4", [4]), (2.0, [2]), (1e9, [999]), ("1000000", [999]), (None, [1]), (0, []), (-2, []), (0.5, []),
     (float("nan"), []), (float("inf"), []), (True, []), ("muitos", [1]), ([], [])],
)  # fmt: skip
def test_the_quantity_of_a_line_is_at_least_one_and_bounded(quantity: Any, taken: list[int]) -> None:
    order = {"product_items": [{"product_retailer_id": "A", "quantity": quantity}]}
    found = only(parse(envelope({"from": "1", "id": "w", "type": "order", "order": order}))).content.order
    assert found is not None
    assert [item.quantity for item in found.items] == taken


def test_an_order_of_a_great_many_lines_is_cut() -> None:
    items = [{"product_retailer_id": f"SKU-{number}", "quantity": 1} for number in range(1000)]
    order = {"product_items": [*items, {"product_retailer_id": "x" * 300}]}
    found = only(parse(envelope({"from": "1", "id": "w", "type": "order", "order": order}))).content.order
    assert found is not None
    assert len(found.items) == 200


def test_an_advertisement_comes_with_a_message_of_any_kind() -> None:
    assert message("text_from_ad").kind == "text"
    assert content("text_from_ad")["text"] == "vi o anúncio, quanto custa?"
    assert content("text_from_ad")["referral"] == {
        "source_type": "ad", "source_id": "120000000000077", "url": "https://fb.example.org/ad/77",
        "headline": "Coleção de verão", "body": "Vestidos leves", "click_id": "QWRDbGljazc3",
    }  # fmt: skip
    assert message("image_from_ad").kind == "image"
    assert content("image_from_ad")["referral"]["headline"] == "Liquidação"
    assert content("text_from_post")["referral"]["source_type"] == "post"


def test_the_product_that_is_asked_about_is_named() -> None:
    assert content("text_about_product") == {"text": "esse tem no M?", "about": "FAS-VAURORA-VM-M"}
    assert message("text_about_product").context_wamid == "wamid.HBgMT1VUMDAwMDAwMQ=="


def test_what_was_forwarded_is_marked_and_what_is_answered_is_named() -> None:
    assert content("text_forwarded")["forwarded"] is content("text_forwarded_often")["forwarded"] is True
    assert "forwarded" not in content("text_reply")
    assert message("text_reply").context_wamid == "wamid.HBgMT1VUMDAwMDAwMQ=="


def test_what_cannot_be_read_is_named_as_exactly_as_the_platform_does() -> None:
    names = ("unsupported", "unsupported_poll", "unsupported_gone", "interactive_call_permission")
    assert [content(name)["unsupported_type"] for name in names] == [
        "unknown", "poll_creation", "unknown", "call_permission_reply",
    ]  # fmt: skip


def test_a_chat_that_is_opened_for_the_first_time_holds_no_words() -> None:
    assert message("request_welcome").kind == "request_welcome"
    assert content("request_welcome") == {}


def test_number_and_user_id_are_both_told_when_both_are_there() -> None:
    both, number, user = message("text"), message("text_number_only"), message("text_user_id_only")
    assert (both.sender, both.wa_id, both.user_id) == ("5511988880001", "5511988880001", "BR.90817263544536271809")
    assert (number.sender, number.user_id) == ("5511988880001", None)
    assert (user.sender, user.wa_id, user.profile_name) == ("BR.90817263544536271809", None, "Nina")


def test_every_sender_of_a_large_delivery_has_their_own_name() -> None:
    people = [f"5511{number:08d}" for number in range(20_000)]
    told = [{"from": wa_id, "id": wa_id, "type": "text", "text": {"body": "oi"}} for wa_id in people]
    contacts = [{"wa_id": wa_id, "profile": {"name": f"n{wa_id}"}} for wa_id in reversed(people)]
    kept = parse(envelope(*told, contacts=contacts)).messages  # looked for one by one: minutes
    assert [message.profile_name for message in kept] == [f"n{wa_id}" for wa_id in people]


# --- who a customer is from now on -----------------------------------------------------------------------------------


def test_a_new_number_brings_a_new_user_id() -> None:
    changed = message("system_number_changed").identity
    assert changed is not None
    assert (changed.before_wa_id, changed.wa_id) == ("5511988880001", "5511988889999")
    assert (changed.before_user_id, changed.user_id) == ("BR.90817263544536271809", "BR.11223344556677889900")
    assert message("system_number_changed").sender == "5511988880001"


def test_a_new_number_is_read_from_the_older_shape_too() -> None:
    changed = message("system_customer_changed_number").identity
    assert changed is not None
    assert (changed.before_wa_id, changed.wa_id, changed.user_id) == ("5511988880001", "5511988889999", None)


def test_a_new_user_id_alone_comes_from_the_one_before() -> None:
    told = message("system_user_id_changed")
    assert told.identity is not None
    assert (told.identity.before_user_id, told.identity.user_id) == (
        "BR.90817263544536271809",
        "BR.11223344556677889900",
    )
    assert (told.identity.before_wa_id, told.identity.wa_id) == (None, None)
    assert told.sender == told.user_id == "BR.90817263544536271809"


def test_a_new_encryption_key_makes_nobody_another() -> None:
    told = message("system_identity_changed")
    assert (told.kind, told.identity) == ("system", None)


def test_user_ids_are_updated_by_a_field_of_their_own() -> None:
    delivery = read("messages/user_id_update")
    (change,) = delivery.identities
    assert (change.before_user_id, change.user_id) == ("BR.90817263544536271809", "BR.11223344556677889900")
    assert (change.before_wa_id, change.wa_id) == (None, "5511988889999")
    assert delivery.numbers() == {"219870000000001"}


@pytest.mark.parametrize(
    "system",
    [
        {"type": "user_changed_number"},
        {"type": "user_changed_number", "wa_id": "5511"},
        {"type": "user_changed_user_id", "user_id": "BR.1"},
        {"type": "user_changed_user_id", "user_id": "BR.1", "previous_user_id": "BR.1"},
        {"type": ["user_changed_number"], "wa_id": "5522"},
        {"type": "user_moved", "wa_id": "5522"},
    ],
)
def test_a_change_to_the_same_or_of_nobody_is_none(system: dict[str, Any]) -> None:
    who = {"from": "5511"} if "wa_id" in system else {}
    told = only(parse(envelope({**who, "id": "w", "type": "system", "system": system})))
    assert (told.kind, told.identity) == ("system", None)


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"wa_id": "5511", "value": "stop"},
        {"wa_id": "5511", "value": "stop", "category": "calls"},
        {"wa_id": "5511", "value": ["stop"], "category": "marketing_messages"},
        {"value": "stop", "category": "marketing_messages"},
    ],
)
def test_a_choice_of_nobody_or_about_something_else_is_odd(choice: dict[str, Any]) -> None:
    change = {"field": "user_preferences", "value": {"user_preferences": [choice]}}
    delivery = parse(json.dumps({"entry": [{"changes": [change]}]}).encode())
    assert (delivery.choices, delivery.oddities) == ([], 1)


# --- changed and taken back ------------------------------------------------------------------------------------------


def test_an_edit_says_what_a_message_says_now() -> None:
    edit = revision("edit")
    assert (edit.wamid, edit.revision_wamid) == ("wamid.HBgMS0lORD0001==", "wamid.HBgMS0lORD0037==")
    assert edit.content is not None
    assert edit.content.text == "Oi! Tem vestido VERDE tamanho M?"
    assert (edit.sender, edit.wa_id, edit.user_id) == ("5511988880001", "5511988880001", "BR.90817263544536271809")
    caption = revision("edit_caption").content
    assert caption is not None
    assert caption.text == "tem parecido com esse?"


def test_a_deletion_says_which_message_was_taken_back() -> None:
    deletion = revision("revoke")
    assert (deletion.wamid, deletion.content) == ("wamid.HBgMS0lORD0001==", None)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "edit"},
        {"type": "edit", "edit": {"original_message_id": "w", "message": {"type": "text"}}},
        {"type": "edit", "edit": {"message": {"type": "text", "text": {"body": "oi"}}}},
        {"type": "revoke", "revoke": {"original_message_id": None}},
        {"type": "revoke", "revoke": {"original_message_id": "w"}, "errors": [{"code": 1}]},
    ],
)
def test_an_edit_or_a_deletion_of_nothing_is_kept_as_unsupported(message: dict[str, Any]) -> None:
    kept = only(parse(envelope({"from": "5511", "id": "w2", **message})))
    assert (kept.kind, kept.content.unsupported_type) == ("unsupported", message["type"])


def test_a_revision_is_read_again_from_what_was_stored_of_it() -> None:
    edit = revision("edit")
    again = read_again(edit.raw, edit.phone_number_id)
    assert (again.wamid, again.revision_wamid, again.content, again.at) == (
        edit.wamid, edit.revision_wamid, edit.content, edit.at,
    )  # fmt: skip
    with pytest.raises(ValueError, match="no edit"):
        read_again('{"type": "text"}', "1")


# --- statuses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "word", "price"),
    [
        ("sent_marketing", "sent", ("marketing", True, "regular")),
        ("sent_service", "sent", ("service", False, "free_customer_service")),
        ("delivered_from_ad", "delivered", ("referral_conversion", False, "free_entry_point")),
        ("delivered_without_price", "delivered", None),
        ("read", "read", ("service", False, "free_customer_service")),
        ("played", "read", None),
    ],
)
def test_a_status_says_how_far_a_message_got_and_what_it_costs(name: str, word: str, price: Any) -> None:
    (status,) = read(f"statuses/{name}").statuses
    assert status.status == word
    paid = status.pricing
    assert (None if paid is None else (paid.category, paid.billable, paid.type)) == price


def test_a_price_of_another_shape_says_what_it_can() -> None:
    body = json.dumps({"entry": [{"changes": [{"value": {"statuses": [
        {"id": "w", "status": "sent", "pricing": {"billable": "yes", "category": 7}},
        {"id": "w", "status": "sent", "pricing": ["free"]},
    ]}}]}]}).encode()  # fmt: skip
    first, second = parse(body).statuses
    assert first.pricing is not None
    assert (first.pricing.category, first.pricing.billable) == ("", None)
    assert second.pricing is None
