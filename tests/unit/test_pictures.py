"""The product illustrations."""

import re
from xml.etree import ElementTree

import pytest

from agent_store.agents.catalog.pictures import COLORS, SHAPES, draw

SVG = "{http://www.w3.org/2000/svg}"
THEME = "#c2476b"
PLAIN_IDS = re.compile(r"p[0-9a-f]{10}-")
"""What makes the ids of one picture its own."""


def picture(
    shape: str = "dress",
    *,
    color: str = "vermelho",
    name: str = "Vestido",
    seed: str = "vestido",
    theme: str = THEME,
) -> str:
    return draw(shape=shape, color=color, name=name, seed=seed, theme=theme)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314  (drawn by the code under test)


def drawing(svg: str) -> str:
    """Return what stands on the ground shadow: the product without the backdrop that the seed varies."""
    return PLAIN_IDS.sub("", svg).split("</g>", 1)[1]


def product_colors(svg: str) -> set[str]:
    return set(re.findall(r"#[0-9a-f]{6}", svg))


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_a_shape_is_a_square_svg_without_drawn_text(shape: str) -> None:
    root = parsed(picture(shape))
    assert root.tag == f"{SVG}svg"
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("800", "800", "0 0 800 800")
    assert not [element for element in root.iter() if element.tag in {f"{SVG}text", f"{SVG}image", f"{SVG}script"}]


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_every_reference_is_defined_once_in_the_same_picture(shape: str) -> None:
    svg = picture(shape)
    defined = re.findall(r' id="([^"]+)"', svg)
    assert len(defined) == len(set(defined))
    assert set(re.findall(r"url\(#([^)]+)\)", svg)) == set(defined)


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_numbers_are_short(shape: str) -> None:
    svg = PLAIN_IDS.sub("", picture(shape))
    assert re.findall(r"\d\.\d{4,}|\bnan\b|\binf\b|\de-\d", svg) == []


def test_different_shapes_have_different_drawings() -> None:
    drawings = {PLAIN_IDS.sub("", picture(shape)) for shape in SHAPES}
    assert len(drawings) == len(SHAPES)


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_a_variant_in_another_colour_is_another_picture(shape: str) -> None:
    assert product_colors(picture(shape, color="verde")) != product_colors(picture(shape, color="azul"))


def test_a_picture_depends_on_its_arguments_alone() -> None:
    assert picture() == picture()
    assert picture(seed="a") != picture(seed="b")
    assert picture(theme="#2f6fd0") != picture(theme="#4f8a6b")


def test_ids_of_two_pictures_do_not_meet_on_one_page() -> None:
    first, second = (set(re.findall(r' id="([^"]+)"', picture(seed=seed))) for seed in ("a", "b"))
    assert first
    assert first.isdisjoint(second)


@pytest.mark.parametrize("word", sorted(COLORS))
def test_a_colour_word_is_the_same_as_its_hex_code(word: str) -> None:
    assert re.fullmatch(r"#[0-9a-f]{6}", COLORS[word])
    assert product_colors(picture(color=word)) == product_colors(picture(color=COLORS[word]))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("#F00", "#ff0000"),
        (" Azul Marinho ", "azul-marinho"),
        ("Lilás", "lilas"),
        ("OFF_WHITE", "off-white"),
        ("furta-cor", "grey"),
        ("", "grey"),
        ("#12", "grey"),
    ],
)
def test_colours_are_read_leniently(written: str, meant: str) -> None:
    assert product_colors(picture(color=written)) == product_colors(picture(color=meant))


@pytest.mark.parametrize("shape", ["", "unicorn", "../dress", "<svg/>"])
def test_an_unknown_shape_is_a_gift_box(shape: str) -> None:
    assert parsed(picture(shape)).tag == f"{SVG}svg"
    assert drawing(picture(shape)) == drawing(picture("gift"))


@pytest.mark.parametrize("name", ["Sérum & Cia <50 ml>", 'Mesa "Prosa"', "nulo\x00 e \x1b", "\ud800", "👗", ""])
def test_any_name_becomes_the_title(name: str) -> None:
    title = parsed(picture(name=name)).find(f"{SVG}title")
    assert title is not None
    assert (title.text or "") == re.sub("[\x00\x1b\ud800]", "", name)


def test_any_seed_and_theme_will_do() -> None:
    assert parsed(picture(seed="\ud800", theme="não é cor")).tag == f"{SVG}svg"


def test_the_background_takes_the_brands_colour() -> None:
    first, second = picture(theme="#ff0000"), picture(theme="#0000ff")
    assert product_colors(first) != product_colors(second)
