from __future__ import annotations

import json

import pytest

from agent_store.agents.catalog.files import FileError, FileErrors, FileKind, kind_of, parse
from agent_store.contracts.catalog import ImportProduct
from agent_store.kernel.errors import InvalidInput, PermanentError
from agent_store.kernel.money import Money
from tests.support.shop import BRANDS, sample_products

YAML = """\
brand: fashion
products:
  - id: dress
    name: Vestido
    category: vestidos
    tags: [festa, no]
    attributes: {forro: sim, ano: 2026}
    price: 299.90
    list_price: 349.90
    floor: "220.00"
    weight_g: 350
    stock: {cd: 7}
    variants:
      - {sku: DRESS-P, color: vermelho, size: P}
      - {sku: DRESS-38, size: 38, price: 310, weight_g: 400, stock: {cd: 1, loja: 2}}
"""

CSV = """\
product_id,brand,name,category,tags,attributes,complements,sku,color,size,price,list_price,floor,weight_g,stock,options
dress,fashion,"Vestido, midi",vestidos,festa|verão,forro=sim,bag,DRESS-P,vermelho,P,299.90,349.90,220.00,350,cd=7|loja=2,
dress,,,,,,,DRESS-M,vermelho,M,"299,90",,,350,,tom=claro

bag,fashion,Bolsa,bolsas,,,,BAG-1,,,99.9,,,,cd=1,
"""


def errors_of(text: str, kind: FileKind, brand: str | None = None) -> tuple[FileError, ...]:
    with pytest.raises(FileErrors) as refused:
        parse(text, kind, brand=brand)
    return refused.value.errors


def test_yaml_keeps_every_value_as_it_is_written() -> None:
    (dress,) = parse(YAML, "yaml")
    assert dress.brand == "fashion"
    assert dress.tags == ("festa", "no")
    assert dress.attributes == {"forro": "sim", "ano": "2026"}
    first, second = dress.variants
    assert (first.price, first.list_price, first.floor) == (
        Money(minor=29_990),
        Money(minor=34_990),
        Money(minor=22_000),
    )
    assert (first.weight_g, first.stock) == (350, {"cd": 7})
    assert (second.size, second.price, second.stock) == ("38", Money(minor=31_000), {"cd": 1, "loja": 2})
    assert second.list_price is None, "a variant with a price of its own does not take over the product's markdown"


def test_json_says_the_same_as_yaml() -> None:
    (dress,) = parse(YAML, "yaml")
    values = dress.model_dump(mode="json")
    for variant in values["variants"]:
        for name in ("price", "list_price", "floor"):
            if variant[name]:
                variant[name] = f"{variant[name]['minor'] // 100}.{variant[name]['minor'] % 100:02d}"
    assert parse(json.dumps({"brand": "fashion", "products": [values]}), "json") == (dress,)
    assert parse(json.dumps([values]), "json") == (dress,)


def test_csv_has_a_row_a_variant() -> None:
    dress, bag = parse(CSV, "csv")
    assert (dress.name, dress.tags, dress.complements) == ("Vestido, midi", ("festa", "verão"), ("bag",))
    assert [variant.sku for variant in dress.variants] == ["DRESS-P", "DRESS-M"]
    assert [variant.price.minor for variant in dress.variants] == [29_990, 29_990]
    assert dress.variants[0].stock == {"cd": 7, "loja": 2}
    assert dress.variants[1].options == {"tom": "claro"}
    assert bag.variants[0].price == Money(minor=9_990)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_csv_of_a_spreadsheet_is_read_too(separator: str) -> None:
    text = "\ufeff" + "product_id,name,category,sku,price\r\nmug,Caneca,copos,MUG-1,50.00\r\n".replace(",", separator)
    (mug,) = parse(text, "csv", brand="home")
    assert (mug.brand, mug.variants[0].price) == ("home", Money(minor=5_000))


def test_csv_names_the_line_and_the_column_of_every_error() -> None:
    text = (
        "product_id,brand,name,category,sku,price,stock,weight_g\n"
        "mug,home,Caneca,copos,MUG-1,50.00,cd=1,10\n"
        "mug,home,Outra,copos,mug-2,50.00,cd=1,10\n"
        "pot,home,Panela,copos,POT-1,cinquenta,cd,10\n"
        ",home,Panela,copos,POT-2,50.00,,\n"
        "lid,home,,Copos!,LID-1,50.00,cd=x,-1\n"
        "jar,home,Jarra,copos,MUG-1,50.00,cd=-1,10\n"
        "cup,home,Copo\n"
    )
    found = errors_of(text, "csv")
    assert [error.row for error in found] == sorted(error.row for error in found)
    assert sorted((error.row, error.field.split(".")[0]) for error in found) == [
        (3, "name"), (3, "sku"), (4, "price"), (4, "stock"), (5, "product_id"), (6, "category"), (6, "name"),
        (6, "stock"), (6, "weight_g"), (7, "sku"), (7, "stock"), (8, ""),
    ]  # fmt: skip
    assert "FAS-VAURORA-VM-P" in next(error.message for error in found if error.field == "sku")


def test_csv_columns_are_checked() -> None:
    found = errors_of("product_id,name,category,sku,prise,name\nmug,Caneca,copos,MUG-1,50.00,x\n", "csv")
    assert {(error.field, error.message.split(";")[0]) for error in found} == {
        ("price", "missing column"),
        ("prise", "unknown column"),
        ("name", "the column stands there twice"),
    }


def test_csv_with_an_open_quote_is_no_csv() -> None:
    (error,) = errors_of('product_id,name,category,sku,price\nmug,"Caneca,copos,MUG-1,50.00\n', "csv")
    assert "no CSV" in error.message


def test_yaml_names_the_line_of_the_product_or_variant() -> None:
    text = YAML.replace("sku: DRESS-38", "sku: DRESS-P").replace("category: vestidos", "categoria: vestidos")
    found = errors_of(text, "yaml")
    assert [(error.row, error.field) for error in found] == [(3, "categoria"), (3, "category"), (15, "sku")]
    assert str(found[2]) == "line 15: sku: DRESS-P stands in line 14 already: a SKU once"


def test_json_names_the_line_of_the_product() -> None:
    text = (
        '{"brand": "home",\n "products": [\n'
        '  {"id": "mug", "name": "Caneca", "category": "copos", "variants": [{"sku": "MUG-1", "price": "5.00"}]},\n'
        '  {"id": "pot", "name": "Panela", "category": "copos", "variants": [{"sku": "POT-1", "price": 9.999}]},\n'
        '  {"id": "mug", "name": "Caneca", "category": "copos", "variants": []}, 7]}'
    )
    found = errors_of(text, "json")
    assert [(error.row, error.field) for error in found] == [(4, "price"), (5, ""), (5, "variants"), (5, "id")]


def test_prices_must_make_sense() -> None:
    assert [error.field for error in errors_of(YAML.replace("349.90", "1.00"), "yaml")] == ["list_price"]
    assert [error.field for error in errors_of(YAML.replace("220.00", "300.00"), "yaml")] == ["floor"]
    assert [error.field for error in errors_of(YAML.replace("price: 310", "price: 0"), "yaml")] == ["price", "floor"]


@pytest.mark.parametrize(
    ("text", "kind", "what"),
    [
        ("products: [", "yaml", "no YAML"),
        ("{", "json", "no JSON"),
        ("just text", "yaml", "a list of products"),
        ("shop: x\nproducts: []", "yaml", "unknown"),
        ("products: []", "yaml", "no products"),
        ("[]", "json", "no products"),
        ("products: [text]", "yaml", "map of fields"),
        ("products: [{id: x, name: X, category: c, brand: b, variants: [text]}]", "yaml", "map of fields"),
        ("", "csv", "missing column"),
        ("product_id,name,category,sku,price\n", "csv", "no products"),
    ],
)
def test_what_is_no_catalogue_is_refused_with_a_sentence(text: str, kind: FileKind, what: str) -> None:
    assert any(what in error.message for error in errors_of(text, kind))


def test_a_missing_brand_is_named_unless_the_caller_gives_one() -> None:
    text = "products: [{id: mug, name: Caneca, category: copos, variants: [{sku: MUG-1, price: 1.00}]}]"
    assert errors_of(text, "yaml")[0].field == "brand"
    assert parse(text, "yaml", brand="home")[0].brand == "home"


def test_many_errors_are_counted_and_the_first_ones_shown() -> None:
    rows = "".join(f"mug{n},Caneca,copos,mug{n},1.00\n" for n in range(30))
    with pytest.raises(PermanentError) as refused:
        parse(f"product_id,name,category,sku,price\n{rows}", "csv", brand="home")
    assert refused.value.code == "catalog-file"
    assert refused.value.message.startswith("30 errors in the file, nothing was imported:\nline 2: sku:")
    assert refused.value.message.endswith("and 10 more")


def test_the_kind_is_told_by_the_name() -> None:
    assert [kind_of(name) for name in ("a.CSV", "b.json", "c.yaml", "d.yml")] == ["csv", "json", "yaml", "yaml"]
    with pytest.raises(InvalidInput):
        kind_of("catalogue.xlsx")


@pytest.mark.parametrize("brand", BRANDS)
def test_the_sample_catalogues_are_faultless(brand: str) -> None:
    products: tuple[ImportProduct, ...] = sample_products(brand)
    assert len(products) >= 40
    assert {product.brand for product in products} == {brand}
