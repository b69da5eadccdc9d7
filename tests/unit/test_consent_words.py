"""Which messages are a yes or a no to reminders, surveys and offers, and which only look like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.agents.conversations.wishes import wants_contact
from agent_store.contracts.common import Language
from agent_store.contracts.templates import TEMPLATES

NO = (
    # Portuguese
    "SAIR", "sair", "Sair.", "sair!!", " Sair 🙏 ", "sair por favor", "PARAR", "pare", "CANCELAR MENSAGENS", "cancelar as mensagens",
    "cancelar ofertas e promoções", "parar de receber mensagens", "pare de me mandar mensagens", "parar lembretes",
    "não quero mais receber mensagens", "nao quero receber ofertas", "não quero mais mensagens", "Não receber mais",
    "não mande mais mensagens", "não quero receber promoções e lembretes", "Quero sair da lista", "me tira da lista",
    "quero me descadastrar", "descadastrar",
    # English
    "STOP", "Stop", "stop please", "stop all", "STOPALL", "UNSUBSCRIBE", "unsubscribe me", "opt out", "OPTOUT", "I want to opt out",
    "stop messages", "stop sending me messages", "cancel messages", "No more reminders", "No more surveys",
    "Don't want any more messages", "i don’t want to receive messages", "remove me from the list",
    # Spanish
    "SALIR", "salir, por favor", "BAJA", "darme de baja", "quiero darme de baja", "No recibir más",
    "no quiero recibir más mensajes", "dejen de enviarme mensajes", "cancelar mensajes", "quiero salir de la lista",
)  # fmt: skip
YES = (
    "VOLTAR A RECEBER", "voltar a receber", "Voltar a receber!", "QUERO RECEBER", "quero receber ofertas", "Quero receber mensagens",
    "quero voltar a receber mensagens", "quero receber novidades e promoções", "START", "subscribe", "UNSTOP", "opt in",
    "start messages", "resume messages", "i want to receive offers", "SUSCRIBIR", "suscribirme", "volver a recibir",
    "quiero recibir ofertas", "QUIERO RECIBIR",
)  # fmt: skip
NEITHER = (
    # leaving, stopping, going out in a sentence about something else
    "quero sair com esse vestido", "preciso de roupa para sair", "vou sair", "sair de casa", "quero sair", "saia", "saia preta",
    "parar com isso", "quero parar de procurar", "parar o pedido", "para", "stop motion", "non stop", "stop the order",
    "salir de fiesta", "talla baja", "baja talla", "baja el precio", "start over",
    # cancelling is about an order
    "cancelar", "cancela", "cancel", "CANCEL", "cancelar pedido", "quero cancelar meu pedido", "cancelar a compra",
    "cancelar entrega", "cancel my order", "cancelar el pedido",
    # not wanting is about what was offered
    "não", "no", "nao quero", "não quero mais", "nao quero mais o vestido", "no quiero este", "não receber", "não quero receber hoje",
    # receiving is about delivery, and beginning about a chat
    "quero receber", "Quero receber", "quiero recibir", "quero receber em casa", "quero receber amanhã", "não quero receber em casa",
    "receber", "start", "Start", "voltar", "volver", "continuar",
    # offers are what a shop is for
    "oferta", "ofertas", "promoções", "quero ofertas", "quero ver as promoções", "tem promoção?", "send me offers",
    "novidades", "mensagem", "updates", "",
)  # fmt: skip


@pytest.mark.parametrize("text", NO)
def test_these_words_alone_are_a_no(text: str) -> None:
    assert wants_contact(text) is False


@pytest.mark.parametrize("text", YES)
def test_these_words_alone_are_a_yes(text: str) -> None:
    assert wants_contact(text) is True


@pytest.mark.parametrize("text", NEITHER)
def test_what_only_looks_like_it_is_neither(text: str) -> None:
    assert wants_contact(text) is None


@pytest.mark.parametrize("text", ["start", "Start please", "quero receber", "Quiero recibir"])
def test_what_could_mean_something_else_is_a_yes_from_who_had_said_no(text: str) -> None:
    assert wants_contact(text) is None
    assert wants_contact(text, opted_out=True) is True


@pytest.mark.parametrize("text", [*NO, *NEITHER])
def test_having_said_no_makes_nothing_else_a_yes(text: str) -> None:
    if text.casefold() not in ("start", "quero receber", "quiero recibir"):
        assert wants_contact(text, opted_out=True) is not True


@given(
    word=st.sampled_from(["sair", "parar", "stop", "salir", "baja", "unsubscribe"]),
    before=st.sampled_from(["quero um vestido para", "o", "please", "eu quero", "por que", "the"]),
    after=st.sampled_from(["com esse vestido", "hoje", "the music", "de compras", "azul", "now i want shoes"]),
    both=st.booleans(),
)
def test_a_word_within_a_sentence_is_no_opt_out(word: str, before: str, after: str, both: bool) -> None:
    assert wants_contact(f"{before} {word} {after}" if both else f"{word} {after}") is None


@given(text=st.text(max_size=400))
def test_any_text_is_heard_without_harm_and_only_short_ones_count(text: str) -> None:
    heard = wants_contact(text)
    assert heard in (True, False, None)
    assert heard is None or len(text) <= 80


@pytest.mark.parametrize(
    ("payload", "heard"), [("opt_out", False), ("opt_in", True), ("view_cart", None), ("survey:good", None), ("", None)]
)
def test_a_tap_counts_by_its_payload_and_not_by_its_title(payload: str, heard: bool | None) -> None:
    assert wants_contact("SAIR", payload) is heard


@pytest.mark.parametrize("language", ["pt", "en", "es"])
def test_what_templates_say_to_do_works(language: Language) -> None:
    """The word that a template names, and its button's title when it is typed."""
    word = {"pt": "SAIR", "en": "STOP", "es": "SALIR"}[language]
    assert wants_contact(word) is False
    for template in TEMPLATES.values():
        for title, payload in zip(template.buttons.get(language, ()), template.payloads, strict=False):
            if payload == "opt_out":
                assert wants_contact(title) is False
