"""Language, mood, wishes and shops, read from the words of a message."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.agents.conversations.language import detect
from agent_store.agents.conversations.routing import answer_to_choice, route
from agent_store.agents.conversations.sentiment import ANGRY, NEUTRAL, score
from agent_store.agents.conversations.wishes import wants_bot, wants_person
from agent_store.agents.conversations.words import fold, one_typo, squeeze, stems, tokens
from agent_store.contracts.common import Language
from tests.support.chat import BRANDS

# --- words


def test_words_are_folded_and_cut() -> None:
    assert tokens("Olá, QUERO a calça nº 38!") == ["ola", "quero", "a", "calca", "no", "38"]
    assert fold("AÇÃO Ñandú") == "acao nandu"
    assert squeeze("oiiiii") == "oi"
    assert squeeze("carro") == "carro"


@pytest.mark.parametrize(
    ("plural", "single"),
    [("vestidos", "vestido"), ("calcas", "calca"), ("batons", "batom"), ("pinceis", "pincel"), ("dresses", "dress"),
     ("almofadoes", "almofadao"), ("jornais", "jornal"), ("accessories", "accessory"), ("auriculares", "auricular")],
)  # fmt: skip
def test_a_plural_knows_its_singular(plural: str, single: str) -> None:
    assert single in stems(plural)


@pytest.mark.parametrize(
    ("said", "meant", "typo"),
    [("vestdo", "vestido", True), ("vesitdo", "vestido", True), ("vestiddo", "vestido", True), ("vestida", "vestido", True),
     ("vestido", "vestido", False), ("vstdo", "vestido", False), ("sapato", "vestido", False), ("ab", "ba", True),
     ("abc", "bca", False), ("vestidoo", "vestido", True), ("estido", "vestido", True)],
)  # fmt: skip
def test_one_typo_is_one(said: str, meant: str, typo: bool) -> None:
    assert one_typo(said, meant) is typo
    assert one_typo(meant, said) is typo


# --- language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Oi, quero um vestido vermelho até 300 reais", "pt"),
        ("ola", "pt"),
        ("Olá, tudo bem?", "pt"),
        ("ok", "pt"),
        ("4242", "pt"),
        ("👍", "pt"),
        ("", "pt"),
        ("oiiii", "pt"),
        ("qto custa o frete pra 01310-100?", "pt"),
        ("cadê meu pedido", "pt"),
        ("vcs tem fone bluetooth", "pt"),
        ("bom dia", "pt"),
        ("presente de aniversário pra minha mãe", "pt"),
        ("obrigada!", "pt"),
        ("hi", "en"),
        ("Hello!", "en"),
        ("do you have red dresses?", "en"),
        ("I'm looking for a gaming chair under 1000", "en"),
        ("how much is shipping?", "en"),
        ("where is my order", "en"),
        ("thanks a lot", "en"),
        ("the blue one", "en"),
        ("hola, busco un vestido rojo", "es"),
        ("buenos días", "es"),
        ("¿cuánto cuesta el envío?", "es"),
        ("quiero hablar con una persona", "es"),
        ("tienen zapatos negros?", "es"),
        ("dónde está mi pedido", "es"),
        ("muchas gracias", "es"),
        ("necesito un regalo para mi novia", "es"),
    ],
)
def test_the_language_of_a_first_message(text: str, language: Language) -> None:
    assert detect(text) == language


@pytest.mark.parametrize("current", get_args(Language))
@pytest.mark.parametrize(
    "text",
    [
        "ok",
        "4242",
        "hi",
        "hola",
        "oi",
        "ola",
        "notebook",
        "sim",
        "si",
        "yes",
        "no",
        "top!",
        "M",
        "🙏",
        "delivery",
        "perfume",
    ],
)
def test_a_short_message_keeps_the_language(text: str, current: Language) -> None:
    assert detect(text, current) == current


@pytest.mark.parametrize("current", get_args(Language))
@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("do you have it in blue?", "en"),
        ("quero ver outro, por favor, você tem mais barato?", "pt"),
        ("hola, quiero un regalo para mi madre", "es"),
    ],
)
def test_a_clear_message_changes_it(text: str, language: Language, current: Language) -> None:
    assert detect(text, current) == language


@given(st.text(max_size=300), st.sampled_from([None, "pt", "en", "es"]))
def test_any_text_has_a_language(text: str, current: Language | None) -> None:
    assert detect(text, current) in ("pt", "en", "es")


@given(st.text(alphabet="0123456789 .,!?-/", max_size=60), st.sampled_from(["pt", "en", "es"]))
def test_numbers_never_change_it(text: str, current: Language) -> None:
    assert detect(text, current) == current


# --- mood

ANGRY_WORDS = (
    "vocês são uns ladrões",
    "Isso é um absurdo, quero meu dinheiro de volta agora",
    "vai se foder",
    "péssimo atendimento, nunca mais compro aqui",
    "que palhaçada, vou no Procon",
    "ESTOU FURIOSA com essa loja!!!",
    "vcs sao uns incompetentes",
    "seu robô idiota",
    "essa loja é um lixo",
    "me enganaram, vou processar vocês",
    "que merda de atendimento",
    "isso é uma vergonha",
    "this is ridiculous, worst service ever",
    "you are thieves",
    "I'm so pissed off, you scammed me",
    "this store is a scam",
    "I will sue you",
    "son unos ladrones",
    "esto es una estafa",
    "pésimo servicio, los voy a denunciar",
    "estoy harta de esperar",
    "vete a la mierda",
)
CALM_WORDS = (
    "caralho, que vestido lindo",
    "porra, adorei!",
    "preciso de uma lixeira para a cozinha",
    "saco de lixo 50 litros",
    "preço absurdo de bom, amei",
    "não é ruim",
    "esse jogo é foda",
    "cadeira gamer top",
    "está caro demais",
    "muito caro, não gostei",
    "odeio rosa, tem azul?",
    "que absurdo de lindo!",
    "fantasia de palhaço infantil",
    "é um golpe de sorte kkk",
    "isso não é golpe, né?",
    "é golpe?",
    "meu cartão foi recusado",
    "o pagamento falhou de novo",
    "não funciona o link",
    "que merda, esqueci meu cep",
    "esse robô aspirador é bom?",
    "tô puta de feliz kkk",
    "estou morrendo de rir",
    "quero cancelar meu pedido",
    "cadê meu pedido?",
    "vocês não são idiotas, gostei",
    "i hate pink, do you have blue?",
    "damn, that's nice",
    "this shit is fire lol",
    "not bad at all",
    "killer headphones",
    "mask of a thief for halloween",
    "grand theft auto",
    "this is not a scam, right?",
    "I'm sick of winter, I want a coat",
    "what a joke of a price lol",
    "no está mal",
    "qué barato, increíble",
    "no me gusta el rojo",
    "cubo de basura",
    "un robot aspirador",
    "jogo de terror horrível",
)


@pytest.mark.parametrize("text", ANGRY_WORDS)
def test_anger_is_heard(text: str) -> None:
    assert score(text) < ANGRY


@pytest.mark.parametrize("text", CALM_WORDS)
def test_no_anger_is_made_up(text: str) -> None:
    assert score(text) >= ANGRY


def test_praise_lifts_and_complaints_lower_the_mood() -> None:
    assert score("adorei, muito obrigada ❤") > NEUTRAL > score("horrível, estou decepcionada")
    assert score("quero um sapato") == NEUTRAL


@given(st.text(max_size=300))
def test_a_mood_is_between_nothing_and_one(text: str) -> None:
    assert 0.0 <= score(text) <= 1.0
    assert score(text) == score(text)


# --- wishes


@pytest.mark.parametrize(
    "text",
    [
        "quero falar com uma pessoa",
        "Quero falar com um atendente",
        "queria falar com alguém de verdade",
        "atendente",
        "Atendente, por favor",
        "me passa pra um humano",
        "quero atendimento humano",
        "posso falar com o gerente?",
        "preciso falar com uma pesoa",
        "quero flar com um atendnte",
        "não, quero falar com alguém",
        "não consigo pagar, quero falar com um atendente",
        "tem algum atendente aí?",
        "talk to a human",
        "can I speak to a real person?",
        "human please",
        "connect me with an agent",
        "hablar con una persona",
        "¿puedo hablar con alguien?",
        "necesito un agente",
    ],
)
def test_a_wish_for_a_person_is_heard(text: str) -> None:
    assert wants_person(text)


@pytest.mark.parametrize(
    "text",
    [
        "presente para uma pessoa alta",
        "não quero falar com atendente",
        "I don't need a human",
        "para uso pessoal",
        "personal trainer",
        "jogo Detroit: Become Human",
        "tem o jogo Persona 5?",
        "quero falar com a Luna",
        "falar sobre a entrega",
        "someone told me you have red dresses",
        "mesa para seis pessoas",
        "una mesa para seis personas",
        "sofa for three people",
        "quero comprar para uma pessoa especial",
        "fala inglês?",
        "x" * 1000,
        "",
    ],
)
def test_no_wish_for_a_person_is_made_up(text: str) -> None:
    assert not wants_person(text)


def test_a_tapped_button_says_what_its_payload_says() -> None:
    assert wants_person("qualquer coisa", "person")
    assert not wants_person("Falar com pessoa", "add:SKU")
    assert wants_bot("qualquer coisa", "bot")
    assert not wants_bot("voltar", "add:SKU")


@pytest.mark.parametrize(
    "text", ["voltar", "Cancelar", "go back", "volver", "continuar com o assistente", "never mind"]
)
def test_the_way_back_is_heard(text: str) -> None:
    assert wants_bot(text)


@pytest.mark.parametrize("text", ["quero cancelar meu pedido", "cancel my order", "vocês voltam amanhã?", "oi"])
def test_no_way_back_is_made_up(text: str) -> None:
    assert not wants_bot(text)


# --- shops


@pytest.mark.parametrize(
    ("text", "brand"),
    [
        ("Vestidos!", "fashion"),
        ("quero uma CALCA jeans", "fashion"),
        ("tem vesitdo?", "fashion"),
        ("celulares baratos", "tech"),
        ("do you have headphones", "tech"),
        ("necesito un cargador", "tech"),
        ("sofas", "home"),
        ("pincéis de maquiagem", "beauty"),
        ("batons vermelhos", "beauty"),
        ("cadeira gamer", "gaming"),
        ("a Luna está?", "fashion"),
        ("pixel games", "gaming"),
        ("teclado gamer", "gaming"),
        ("fone para videogame", "gaming"),  # the later noun says what kind of fone it is
        ("console phone", "gaming"),  # and in English the earlier one
        ("notbook", "tech"),
        ("oi", None),
        ("um presente", None),
        ("perfume e notebook", None),
        ("", None),
    ],
)
def test_a_message_finds_its_shop(text: str, brand: str | None) -> None:
    assert route(text, BRANDS, None).brand == brand


@pytest.mark.parametrize(
    ("text", "brand"),
    [
        ("azul", "fashion"),
        ("qual o preço?", "fashion"),
        ("quero um notebook", "tech"),
        ("vestido para ir jogar videogame", "fashion"),
        ("notebok", "fashion"),  # a typo alone is no reason to leave
        ("perfume e notebook", "fashion"),  # two others: not clear which
        ("TechZone por favor", "tech"),
    ],
)
def test_the_current_shop_stays_unless_another_is_clearly_meant(text: str, brand: str) -> None:
    assert route(text, BRANDS, "fashion").brand == brand


def test_a_shop_that_is_gone_is_nobody_s_current_shop() -> None:
    assert route("azul", BRANDS, "toys").brand is None


@pytest.mark.parametrize(
    ("text", "payload", "chosen"),
    [
        ("Bella", "brand:beauty", ("beauty", True)),
        ("x", "brand:toys", (None, False)),
        ("x", "add:sku", (None, False)),
        ("3", None, ("home", True)),
        ("9", None, (None, False)),
        ("a loja Moda Viva, por favor", None, ("fashion", True)),
        ("Max, quero um fone", None, ("tech", False)),
        ("Luna ou Max?", None, (None, False)),
        ("sei lá", None, (None, False)),
    ],
)
def test_an_answer_to_which_shop(text: str, payload: str | None, chosen: tuple[str | None, bool]) -> None:
    assert answer_to_choice(text, payload, BRANDS) == chosen


@given(st.text(max_size=200), st.sampled_from([None, "fashion", "tech", "gone"]))
def test_any_text_is_routed_to_a_known_shop_or_asked_about(text: str, current: str | None) -> None:
    assert route(text, BRANDS, current).brand in {None, *(brand.id for brand in BRANDS)}
