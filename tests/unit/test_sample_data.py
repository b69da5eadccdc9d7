"""The sample catalogues, brands, locations and delivery rates: their shape and what must hold across them."""

import re
from collections import Counter
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal
from xml.etree import ElementTree

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from agent_store.agents.catalog.pictures import COLORS, SHAPES, draw

DATA = Path(__file__).parents[2] / "data"
BRANDS = ("fashion", "tech", "home", "beauty", "gaming")
SKU_PREFIXES = {"fashion": "FAS", "tech": "TEC", "home": "HOM", "beauty": "BEA", "gaming": "GAM"}
SELLERS = {"fashion": "Luna", "tech": "Max", "home": "Sofia", "beauty": "Bella", "gaming": "Pixel"}
LANGUAGES = {"pt", "en", "es"}

Text = Annotated[str, StringConstraints(min_length=1, pattern=r"^\S(.*\S)?$")]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Sku = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]+(-[A-Z0-9]+)*$", max_length=32)]
Money = Annotated[str, StringConstraints(pattern=r"^(0|[1-9]\d*)\.\d{2}$")]
Cep = Annotated[str, StringConstraints(pattern=r"^\d{5}-\d{3}$")]
Hex = Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]
Phone = Annotated[str, StringConstraints(pattern=r"^\+55 11 5550-\d{4}$")]
PhoneId = Annotated[str, StringConstraints(pattern=r"^\d{15}$")]
Count = Annotated[int, Field(ge=0)]
Whole = Annotated[int, Field(gt=0)]


class Strict(BaseModel):
    """A record with exactly the keys it declares, each of exactly its type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Picture(Strict):
    shape: Annotated[str, StringConstraints(pattern=r"^[a-z_]+$")]
    color: Hex


class Variant(Strict):
    sku: Sku
    color: Slug | None = None
    size: Text | None = None
    options: dict[Slug, Text] = {}
    price: Money | None = None
    weight_g: Whole
    stock: Annotated[dict[Slug, Count], Field(min_length=1)]


class Product(Strict):
    id: Slug
    name: Text
    category: Slug
    maker: Text
    description: Text
    tags: Annotated[list[Text], Field(min_length=3)]
    attributes: Annotated[dict[Text, Text], Field(min_length=1)]
    price: Money
    list_price: Money | None = None
    floor: Money
    complements: Annotated[list[Slug], Field(min_length=1, max_length=3)]
    picture: Picture
    variants: Annotated[list[Variant], Field(min_length=1)]

    @property
    def prices(self) -> list[Decimal]:
        """The price of each variant."""
        return [Decimal(variant.price or self.price) for variant in self.variants]


class Catalogue(Strict):
    brand: Slug
    products: list[Product]


class Location(Strict):
    id: Slug
    name: Text
    kind: Literal["warehouse", "store"]
    cep: Cep
    city: Text
    state: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    address: Text
    hours: Text | None = None
    lat: Annotated[float, Field(ge=-34, le=6)]
    lon: Annotated[float, Field(ge=-74, le=-34)]


class Locations(Strict):
    locations: list[Location]


class Zone(Strict):
    name: Text
    cep_from: Cep
    cep_to: Cep
    days_min: Whole
    days_max: Whole
    base: Money
    per_kg: Money
    free_above: Money | None


class Service(Strict):
    id: Literal["economico", "expresso"]
    name: Text
    zones: Annotated[list[Zone], Field(min_length=1)]


class Carrier(Strict):
    id: Slug
    name: Text
    services: Annotated[list[Service], Field(min_length=1)]


class Shipping(Strict):
    carriers: list[Carrier]


class Brand(Strict):
    id: Slug
    name: Text
    emoji: Text
    seller: Text
    focus: Text
    phone_number_ids: Annotated[list[PhoneId], Field(min_length=1)]
    display_phone: Phone
    color: Hex
    keywords: dict[str, Annotated[list[Text], Field(min_length=25, max_length=60)]]


class Shared(Strict):
    name: Text
    phone_number_ids: Annotated[list[PhoneId], Field(min_length=1)]
    display_phone: Phone


class Brands(Strict):
    brands: list[Brand]
    shared: Shared


def read(name: str) -> object:
    return yaml.safe_load((DATA / f"{name}.yaml").read_text(encoding="utf-8"))


@cache
def catalogue(brand: str) -> Catalogue:
    return Catalogue.model_validate(read(brand))


def everything() -> list[Product]:
    return [product for brand in BRANDS for product in catalogue(brand).products]


def repeated(values: list[str]) -> list[str]:
    return [value for value, times in Counter(values).items() if times > 1]


def digits(cep: str) -> int:
    return int(cep.replace("-", ""))


@pytest.mark.parametrize("brand", BRANDS)
def test_a_catalogue_is_its_brands_and_large_enough(brand: str) -> None:
    shop = catalogue(brand)
    assert shop.brand == brand
    assert len(shop.products) >= 40
    assert 8 <= len({product.category for product in shop.products}) <= 14


def test_ids_skus_names_and_descriptions_are_unique_over_all_brands() -> None:
    products = everything()
    assert repeated([product.id for product in products]) == []
    assert repeated([product.name for product in products]) == []
    assert repeated([product.description for product in products]) == []
    assert repeated([variant.sku for product in products for variant in product.variants]) == []


@pytest.mark.parametrize("brand", BRANDS)
def test_a_sku_starts_with_its_brand(brand: str) -> None:
    skus = [variant.sku for product in catalogue(brand).products for variant in product.variants]
    assert [sku for sku in skus if not sku.startswith(SKU_PREFIXES[brand] + "-")] == []


@pytest.mark.parametrize("brand", BRANDS)
def test_complements_are_other_products_of_the_brand(brand: str) -> None:
    products = catalogue(brand).products
    known = {product.id for product in products}
    for product in products:
        assert set(product.complements) <= known - {product.id}, product.id
        assert repeated(product.complements) == [], product.id


def test_no_price_is_below_the_floor_or_above_the_price_before_the_markdown() -> None:
    for product in everything():
        assert Decimal("0") < Decimal(product.floor) <= min(product.prices), product.id
        assert min(product.prices) == Decimal(product.price), product.id
        assert product.list_price is None or Decimal(product.list_price) > max(product.prices), product.id


def test_a_variant_is_told_apart_by_its_choices() -> None:
    for product in everything():
        choices = [str((v.color, v.size, sorted(v.options.items()))) for v in product.variants]
        assert repeated(choices) == [], product.id
        assert len({tuple(sorted(variant.options)) for variant in product.variants}) == 1, product.id


def test_colours_have_a_shade_to_draw_them_in() -> None:
    used = {variant.color for product in everything() for variant in product.variants if variant.color}
    assert used <= COLORS.keys()


def test_descriptions_are_two_or_three_sentences() -> None:
    for product in everything():
        assert 2 <= len(re.findall(r"[.!?](?=\s|$)", product.description)) <= 3, product.id
        assert 80 <= len(product.description) <= 320, product.id


def test_stock_is_kept_at_known_locations_and_every_product_can_be_bought() -> None:
    known = {location.id for location in Locations.model_validate(read("locations")).locations}
    for product in everything():
        assert all(variant.stock.keys() <= known for variant in product.variants), product.id
        assert sum(sum(variant.stock.values()) for variant in product.variants) > 0, product.id


@pytest.mark.parametrize("brand", BRANDS)
def test_stock_runs_from_sold_out_through_scarce_to_plenty(brand: str) -> None:
    levels = [sum(variant.stock.values()) for product in catalogue(brand).products for variant in product.variants]
    assert any(level == 0 for level in levels)
    assert any(1 <= level <= 3 for level in levels)
    assert sum(level > 3 for level in levels) > len(levels) / 2


def test_red_dresses_are_on_sale_on_both_sides_of_300_reais() -> None:
    prices = [
        Decimal(product.price)
        for product in catalogue("fashion").products
        if product.category == "vestidos"
        and any(v.color == "vermelho" and sum(v.stock.values()) for v in product.variants)
    ]
    assert sum(price < 300 for price in prices) >= 3
    assert sum(price > 300 for price in prices) >= 2


def test_pictures_name_a_known_shape_and_draw_as_xml() -> None:
    colors = {brand.id: brand.color for brand in Brands.model_validate(read("brands")).brands}
    for brand in BRANDS:
        for product in catalogue(brand).products:
            picture = product.picture
            assert picture.shape in SHAPES, product.id
            svg = draw(
                shape=picture.shape,
                color=picture.color,
                name=product.name,
                seed=product.id,
                theme=colors[brand],
            )
            root = ElementTree.fromstring(svg)  # noqa: S314  (drawn by the code under test)
            assert root.tag == "{http://www.w3.org/2000/svg}svg", product.id


def test_locations_are_one_warehouse_and_four_stores() -> None:
    places = Locations.model_validate(read("locations")).locations
    assert {place.id: place.kind for place in places} == {
        "cd-cajamar": "warehouse",
        "loja-paulista": "store",
        "loja-barra": "store",
        "loja-savassi": "store",
        "loja-batel": "store",
    }
    assert all((place.hours is not None) == (place.kind == "store") for place in places)


def test_each_delivery_service_covers_every_cep_once() -> None:
    services = [
        service for carrier in Shipping.model_validate(read("shipping")).carriers for service in carrier.services
    ]
    assert sorted(service.id for service in services) == ["economico", "expresso"]
    for service in services:
        zones = sorted(service.zones, key=lambda zone: zone.cep_from)
        assert zones[0].cep_from == "01000-000", service.id
        assert zones[-1].cep_to == "99999-999", service.id
        for zone in zones:
            assert digits(zone.cep_from) <= digits(zone.cep_to), zone.name
            assert zone.days_min <= zone.days_max, zone.name
        for before, after in pairwise(zones):
            assert digits(before.cep_to) + 1 == digits(after.cep_from), (before.name, after.name)


def test_express_is_faster_and_dearer_than_economy_everywhere() -> None:
    services = {
        service.id: service.zones
        for carrier in Shipping.model_validate(read("shipping")).carriers
        for service in carrier.services
    }
    for slow, fast in zip(services["economico"], services["expresso"], strict=True):
        assert slow.cep_from == fast.cep_from
        assert fast.days_max <= slow.days_max, slow.name
        assert Decimal(fast.base) > Decimal(slow.base), slow.name


def test_brands_have_their_sellers_and_a_number_each() -> None:
    directory = Brands.model_validate(read("brands"))
    assert [brand.id for brand in directory.brands] == list(BRANDS)
    assert {brand.id: brand.seller for brand in directory.brands} == SELLERS
    assert directory.shared.name == "Agent Store"
    entries = [*directory.brands, directory.shared]
    assert repeated([number for entry in entries for number in entry.phone_number_ids]) == []
    assert repeated([entry.display_phone for entry in entries]) == []


def test_keywords_tell_the_brands_apart_in_each_language() -> None:
    brands = Brands.model_validate(read("brands")).brands
    assert all(brand.keywords.keys() == LANGUAGES for brand in brands)
    for language in sorted(LANGUAGES):
        words = [word for brand in brands for word in brand.keywords[language]]
        assert repeated(words) == [], language
        assert [word for word in words if word != word.lower()] == [], language
