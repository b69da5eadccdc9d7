from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.agents.catalog import synonyms
from agent_store.agents.catalog.search import (
    Filters,
    category_slugs,
    color_phrases,
    ladder,
    maker_group,
    relaxations,
    understand,
)
from agent_store.agents.catalog.vocabulary import Vocabulary, Words
from agent_store.agents.catalog.words import content, fold, question, size_key, sound, stem, stems


@pytest.mark.parametrize(
    "forms",
    [
        "vermelho vermelha vermelhos vermelhas", "preto preta pretos pretas", "calção calções", "azul azuis",
        "anel aneis", "fone fones", "flor flores", "viagem viagens", "batom batons", "jardim jardins",
        "dress dresses", "shoe shoes", "watch watches", "accessory accessories", "pantalón pantalones", "rojo roja rojas",
        "infantil infantis", "tenis", "série series", "blouse blouses",
    ],
)  # fmt: skip
def test_forms_of_a_word_have_one_stem(forms: str) -> None:
    assert len({stem(fold(form)) for form in forms.split()}) == 1


@pytest.mark.parametrize("pair", ["bola bolo", "casa caso", "mesa mês", "copo copa"])
def test_short_words_keep_their_vowel(pair: str) -> None:
    first, second = pair.split()
    assert stem(fold(first)) != stem(fold(second))


@given(st.text(max_size=40))
def test_any_text_can_be_read(text: str) -> None:
    for word in content(text):
        assert stem(word)
        assert stem(word).isalnum()
    question(text)


@pytest.mark.parametrize(
    ("said", "words", "sizes"),
    [
        ("Oi, bom dia! Quero um vestido vermelho até 200 reais", ["vestido", "vermelho"], []),
        ("busco un vestido rojo de hasta R$ 150,00 por favor", ["vestido", "rojo"], []),
        ("I'm looking for the red dress under 300", ["red", "dress"], []),
        ("tênis tamanho 38 preto", ["tenis", "preto"], ["38"]),
        ("camisa size M", ["camisa"], ["m"]),
        ("fone sem fio", ["fone", "semfio"], []),
        ("fone com fio", ["fone", "fio"], []),
        ("tv 55 polegadas 4k", ["tv", "55", "polegadas", "4k"], []),
        ("ssd de 500 gb", ["ssd", "500", "gb"], []),
    ],
)
def test_what_says_nothing_about_a_product_is_left_out(said: str, words: list[str], sizes: list[str]) -> None:
    assert question(said) == (words, sizes)


def test_words_that_sound_alike_are_alike() -> None:
    assert sound("xampu") == sound("shampoo")
    assert sound("caza") == sound("casa")
    assert sound("kalca") == sound("calca")
    assert sound("batom") == sound("baton")


@pytest.mark.parametrize(("size", "key"), [("L", "g"), ("Grande", "g"), ("XL", "gg"), ("small", "p"), ("38", "38"),
                                           ("1,50 x 2,00 m", "150x200m"), ("Tamanho M", "m"), ("Queen", "queen")])  # fmt: skip
def test_sizes_have_one_key_in_all_languages(size: str, key: str) -> None:
    assert size_key(size) == key


def test_synonyms_go_both_ways_and_broader_words_one() -> None:
    table = synonyms.table()
    assert tuple(stems("vestido")) in table[tuple(stems("dress"))]
    assert tuple(stems("dress")) in table[tuple(stems("vestidos"))]
    assert tuple(stems("sandália")) in table[tuple(stems("shoes"))]
    assert tuple(stems("sapato")) not in table[tuple(stems("sandal"))]
    assert ("semfi",) in table[tuple(stems("wireless"))]
    assert tuple(stems("com fio")) not in table[tuple(stems("sem fio"))]
    assert all(phrase and all(phrase) for phrase in table)


def vocabulary(**counts: int) -> Words:
    words = Words()
    words.update(counts.items())
    return words


SHOP = vocabulary(
    vestido=40, vermelho=30, azul=35, marinho=9, festa=12, longo=8, fone=20, ouvido=18, bluetooth=15, semfio=14,
    notebook=10, tenis=25, preto=50, shampoo=6, labial=7, batom=9, samsung=5, camisa=20,
)  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("vestdio", "vestido"), ("vermeho", "vermelho"), ("notbook", "notebook"), ("bluethooth", "bluetooth"),
        ("tenes", "tenis"), ("shampo", "shampoo"), ("vestidp", "vestido"), ("ffesta", "festa"),
    ],
)  # fmt: skip
def test_a_mistyped_word_is_guessed(typed: str, meant: str) -> None:
    guesses = SHOP.guess(typed)
    assert guesses[0].word == meant
    assert not guesses[0].completed


def test_a_word_that_is_not_typed_to_its_end_is_completed() -> None:
    best = SHOP.guess("blueto")[0]
    assert (best.word, best.completed) == ("bluetooth", True)


@pytest.mark.parametrize("word", ["zz", "qwxzkj", "xyzxyzxyzxyz"])
def test_what_is_no_word_is_not_guessed(word: str) -> None:
    assert SHOP.guess(word) == ()


def test_the_vocabulary_forgets_and_learns() -> None:
    words = vocabulary(vestido=2, vestidos=1, saia=1)
    assert words.by_stem["vestid"] == 3
    words.update([("vestido", 0), ("vestidos", 0), ("saia", 4), ("blusa", 1)])
    assert not words.has(("vestid",))
    assert all(words.counts.get(guess.word) is None for guess in words.guess("vestdio")), "only a synonym's spelling"
    assert words.guess("blsua")[0].word == "blusa"
    assert words.counts == {"saia": 4, "blusa": 1}


def test_the_words_of_all_brands_are_their_sum() -> None:
    known = Vocabulary()
    known.update([("a", "mesa", 3), ("b", "mesa", 2), ("b", "sofa", 1)], revision=1)
    assert known.of(None).counts == {"mesa": 5, "sofa": 1}
    known.update([("a", "mesa", 0), ("b", "mesa", 4)], revision=2)
    assert (known.of(None).counts, known.of("a").counts) == ({"mesa": 4, "sofa": 1}, {})
    assert known.of("nobody").counts == {}


def test_a_question_becomes_groups_of_alternatives() -> None:
    meant = understand("quero um red dress de festa tamanho P", SHOP, ["vestidos", "tenis"])
    assert [group.any_of[0] for group in meant.groups] == [("vermelh",), ("vestid",), ("festa",)]
    assert [group.head for group in meant.groups] == [False, True, False]
    assert meant.groups[0].kind == "color"
    assert (meant.sizes, meant.corrected, meant.unknown) == (("p",), None, ())


def test_typos_joined_and_split_words_are_mended() -> None:
    assert understand("vestdio vermeho", SHOP, []).corrected == "vestido vermelho"
    assert understand("tenispreto", SHOP, []).corrected == "tenis preto"
    joined = understand("note book", SHOP, [])
    assert [group.any_of[0] for group in joined.groups] == [("notebook",)]
    nothing = understand("qwxzkj", SHOP, [])
    assert (nothing.groups, nothing.unknown, nothing.corrected) == ((), ("qwxzkj",), None)


def test_a_phrase_is_one_group() -> None:
    meant = understand("fone de ouvido bluetooth", SHOP, [])
    assert len(meant.groups) == 2
    assert ("fon", "ouvid") in meant.groups[0].any_of


def test_colours_are_found_in_all_languages_with_their_shades_and_typos() -> None:
    assert ("vermelh",) in color_phrases("rojo", SHOP)
    assert ("vinho",) in color_phrases("red", SHOP)
    assert color_phrases("azul-marinho", SHOP)[0] == ("azul", "marinh")
    assert ("vermelh",) in color_phrases("vermeho", SHOP)
    assert color_phrases("!", SHOP) == ()


def test_makers_are_mended_and_may_be_nothing() -> None:
    group = maker_group("Samsumg", SHOP)
    assert group is not None
    assert (group.any_of, group.field) == ((("samsung",),), "maker")
    assert maker_group("!!", SHOP) is None


def test_categories_are_found_by_id_words_and_other_languages() -> None:
    known = ["vestidos", "caixas-de-som", "moda-praia", "tenis"]
    assert category_slugs("moda-praia", known) == ("moda-praia",)
    assert category_slugs("Caixa de Som", known) == ("caixas-de-som",)
    assert category_slugs("dress", known) == ("vestidos",)
    assert category_slugs("sneakers", known) == ("tenis",)
    assert category_slugs("geladeira", known) == category_slugs("!", known) == ()


def test_the_ladder_lets_the_kind_of_product_go_last() -> None:
    groups = understand("vestido azul festa", SHOP, ["vestidos"]).groups
    steps = ladder(groups)
    assert steps[0].every == groups
    assert [group.any_of[0] for group in steps[1].every] == [("vestid",)]
    assert len(steps[1].some) == 2
    assert steps[2].every == steps[1].every
    assert not steps[2].some
    assert steps[-1].every == ()
    assert ladder(()) == []


def test_any_of_searches_stay_bounded() -> None:
    many = vocabulary(casa=2_500, mesa=2_600, copo=10)
    some = ladder(understand("casa mesa copo", many, []).groups)[-1].some
    assert [group.any_of[0] for group in some] == [("copo",), ("casa",)]


def test_filters_are_let_go_one_by_one_the_size_late_and_the_category_last() -> None:
    filters = Filters(colors=(("azul",),), size="p", max_price=100, categories=("vestidos",))
    steps = relaxations(filters)
    assert steps[0] == ()
    assert steps[1:4] == [("color",), ("max_price",), ("size",)]
    assert steps[-1] == ("color", "max_price", "size", "category")
    assert filters.without(steps[-1]) == Filters()
    assert relaxations(Filters()) == [()]
