from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, select, update

from agent_store.agents.catalog import tables as t
from agent_store.agents.catalog.agent import catalog
from agent_store.agents.catalog.fulltext import SCANNED
from agent_store.agents.catalog.search import RANKED
from agent_store.agents.inventory.agent import inventory
from agent_store.agents.inventory.tables import levels
from agent_store.agents.pricing.agent import pricing
from agent_store.agents.pricing.tables import prices
from agent_store.contracts.catalog import (
    ExportCatalog,
    GetProducts,
    ImportCatalog,
    ImportProduct,
    ListCategories,
    ProductImported,
    ProductQuery,
    ProductQueryResult,
    ProductUpdated,
    Recommend,
    SearchProducts,
    SearchResult,
)
from agent_store.contracts.inventory import AdjustStock, ImportLocations, InventoryReserve, StockUpdated
from agent_store.contracts.pricing import PriceChanged, SetPrice
from agent_store.kernel.errors import Forbidden, InvalidInput, NotFound
from agent_store.kernel.ids import Sku
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Principal
from tests.support.shop import STAFF, fill, fill_quietly, sample_locations, shop, tools_of
from tests.support.store import TestStore


def product(id: str, name: str, category: str, *variants: dict[str, Any], **more: Any) -> ImportProduct:
    """A product whose variants have a price of 100.00 and five units unless they say otherwise."""
    filled = [
        {"sku": f"{id.upper()}-{n}", "price": "100.00", "stock": {"cd-cajamar": 5}, **variant}
        for n, variant in enumerate(variants or ({},))
    ]
    values = {"id": id, "brand": "fashion", "name": name, "category": category, "variants": filled, **more}
    return ImportProduct.model_validate(values)


RED, BLUE = {"color": "vermelho"}, {"color": "azul-marinho"}

PRODUCTS = (
    product(
        "aurora", "Vestido Midi Aurora", "vestidos", {**RED, "size": "P"}, {**RED, "size": "M"}, {**BLUE, "size": "P"},
        tags=["festa", "midi"], complements=["sandal", "bag"], maker="Aurora",
    ),
    product("safira", "Vestido Longo Safira", "vestidos", {**BLUE, "size": "G", "price": "300.00"}, tags=["festa", "longo"]),
    product("basico", "Vestido Básico", "vestidos", {**RED, "size": "G", "price": "50.00", "stock": {"cd-cajamar": 0}}),
    product("sandal", "Sandália Anabela", "sapatos", {"color": "bege", "size": "37", "price": "80.00"}, complements=["bag"]),
    product("boot", "Bota de Couro", "sapatos", {"color": "preto", "size": "38", "price": "250.00"}, description="Combina com vestido vermelho."),
    product("bag", "Bolsa Lira", "bolsas", {"color": "preto", "price": "120.00"}, tags=["festa"]),
    product("phone", "Fone de Ouvido Gota", "fones", {"color": "branco"}, brand="tech", tags=["sem fio", "bluetooth"]),
)  # fmt: skip


class Shop:
    def __init__(self, *products: ImportProduct) -> None:
        self.products = products or PRODUCTS
        self.store: TestStore = shop()

    async def __aenter__(self) -> Shop:
        await self.store.__aenter__()
        await fill(self.store, self.products)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.store.__aexit__(*exc)

    async def search(self, text: str = "", **more: Any) -> SearchResult:
        principal = Principal(brand=more.pop("seller", "fashion"))
        return await self.store.call(SearchProducts(text=text, **more), principal)


def ids(result: SearchResult) -> list[str]:
    return [str(hit.product.id) for hit in result.hits]


async def test_a_search_shows_products_with_live_prices_and_stock() -> None:
    async with Shop() as house:
        result = await house.search("vestido vermelho")
        assert ids(result) == ["aurora", "boot"], "the sold-out one is left out, the dress comes before the boot"
        dress = result.hits[0].product
        assert (dress.image, dress.maker, dress.complements) == (
            "/media/products/aurora.png",
            "Aurora",
            ("sandal", "bag"),
        )
        assert [(v.color, v.size, v.price, v.available) for v in dress.variants] == [
            ("vermelho", "P", Money(minor=10_000), 5),
            ("vermelho", "M", Money(minor=10_000), 5),
            ("azul-marinho", "P", Money(minor=10_000), 5),
        ]
        assert (result.total, result.corrected, result.relaxed) == (2, None, ())


@pytest.mark.parametrize(
    "text", ["vestdio midi", "vestido mídi", "VESTIDOS MIDI", "midi dress", "robe vestido midi aurora"]
)
async def test_typos_accents_and_languages_find_the_same(text: str) -> None:
    async with Shop() as house:
        assert ids(await house.search(text))[0] == "aurora"


async def test_a_correction_is_told() -> None:
    async with Shop() as house:
        assert (await house.search("vestdio")).corrected == "vestido"
        assert (await house.search("vesti")).corrected is None, "a word that was only begun is not wrong"


async def test_the_seller_s_brand_is_searched_unless_another_or_all_are_named() -> None:
    async with Shop() as house:
        assert ids(await house.search("fone")) == []
        assert ids(await house.search("fone", brand="tech")) == ["phone"]
        assert ids(await house.search("fone", brand="*")) == ["phone"]
        assert ids(await house.search("fone", seller=None)) == ["phone"]
        assert ids(await house.search("fone", brand="nobody")) == []


async def test_filters_must_fit_one_variant_together() -> None:
    async with Shop() as house:
        found = await house.search("vestido", color="red", size="M", relax=False)
        assert [(hit.product.id, [v.size for v in hit.product.variants]) for hit in found.hits] == [("aurora", ["M"])]
        assert ids(await house.search("vestido", color="azul", size="M", relax=False)) == []
        assert ids(await house.search("vestido", color="navy", size="large", relax=False)) == ["safira"]
        assert ids(await house.search(max_price=Money(minor=10_000), category="dresses")) == ["aurora"]
        assert ids(await house.search(min_price=Money(minor=20_000), sort="price")) == ["boot", "safira"]
        assert ids(await house.search(maker="aurra")) == ["aurora"]


async def test_a_colour_filter_holds_whatever_colour_the_words_name() -> None:
    async with Shop() as house:
        found = await house.search("vestido vermelho", color="azul", relax=False)
        assert [v.color for hit in found.hits for v in hit.product.variants] == ["azul-marinho"]


async def test_the_colour_of_the_words_comes_first_among_the_variants() -> None:
    async with Shop() as house:
        found = await house.search("vestido azul aurora")
        assert [v.color for v in found.hits[0].product.variants] == ["azul-marinho", "vermelho", "vermelho"]


async def test_a_size_named_in_the_words_is_a_filter() -> None:
    async with Shop() as house:
        found = await house.search("vestido tamanho G")
        assert ids(found) == ["safira"]


async def test_what_fits_nothing_is_relaxed_and_named() -> None:
    async with Shop() as house:
        cheap = await house.search("vestido longo", max_price=Money(minor=20_000))
        assert (ids(cheap), cheap.relaxed) == (["aurora"], ("text",))
        pink = await house.search("vestido", color="rosa")
        assert (ids(pink), pink.relaxed) == (["safira", "aurora", "boot"], ("color",))
        both = await house.search("bota", color="rosa", max_price=Money(minor=100))
        assert (ids(both), both.relaxed) == (["boot"], ("color", "max_price"))
        assert (await house.search("vestido", color="rosa", relax=False)).hits == ()
        odd = await house.search("vestido xyzxyz")
        assert odd.relaxed == ("text",)
        assert (await house.search("vestido xyzxyz", relax=False)).hits == ()


async def test_a_category_that_is_none_is_taken_for_a_word() -> None:
    async with Shop() as house:
        assert ids(await house.search(category="sandália")) == ["sandal"]
        lost = await house.search("bota", category="geladeiras")
        assert (ids(lost), lost.relaxed) == (["boot"], ("category",))
        assert ids(await house.search("bota", category="geladeiras", relax=False)) == []
        only = await house.search("qwxzkj", category="vestidos")
        assert (set(ids(only)), only.relaxed) == ({"aurora", "safira"}, ("text",))
        assert ids(await house.search("qwxzkj", category="vestidos", relax=False)) == []


async def test_nonsense_finds_nothing() -> None:
    async with Shop() as house:
        result = await house.search("qwxzkj")
        assert (result.hits, result.total, result.relaxed) == ((), 0, ())


@pytest.mark.parametrize(
    "text", ['"', "vestido OR", "NEAR(", "name:x*", "a' --", "*", "vestido) OR (bota", "{name}: x"]
)
async def test_no_text_is_an_operator_of_the_index(text: str) -> None:
    async with Shop() as house:
        await house.search(text)


async def test_prices_sort_up_and_down_and_pages_go_on() -> None:
    async with Shop() as house:
        assert ids(await house.search(sort="price", limit=3)) == ["sandal", "aurora", "bag"]
        assert ids(await house.search(sort="-price", limit=2)) == ["safira", "boot"]
        rest = await house.search(sort="price", limit=3, offset=3)
        assert (ids(rest), rest.total) == (["boot", "safira"], 5)


async def test_prices_sort_over_more_than_is_ranked() -> None:
    many = [product(f"dress-{n}", "Vestido Liso", "vestidos", {"price": f"{100 + n * 7 % 250}.00"}) for n in range(250)]
    async with Shop(*many) as house:
        for text in ("", "vestido"):
            for sort, prices in (("price", [100, 101, 102]), ("-price", [349, 348, 347])):
                found = await house.search(text, sort=sort, limit=3)
                assert [hit.product.variants[0].price.minor // 100 for hit in found.hits] == prices
        last = await house.search(sort="price", limit=3, offset=248)
        assert ([hit.product.variants[0].price.minor // 100 for hit in last.hits], last.total) == ([348, 349], 250)
        beyond = await house.search(category="vestidos", offset=300, max_price=Money(minor=20_000))
        assert (beyond.hits, beyond.total, beyond.relaxed) == ((), 101, ())
        assert (await house.search("vestido")).total == RANKED


async def test_an_old_product_is_found_among_thousands_that_do_not_fit() -> None:
    """The filters look at the newest first, but "nothing fits" is only said when nothing does."""
    some = [product("old", "Vestido Liso", "vestidos", {"price": "10.00"})]
    some += [product(f"dress-{n}", "Vestido Liso", "vestidos") for n in range(SCANNED + 50)]
    store = TestStore([tools_of(agent) for agent in (catalog, pricing, inventory)])
    async with store:
        await store.call(ImportLocations(locations=sample_locations()), STAFF)
        await fill_quietly(store, some)
        call = SearchProducts(text="vestido", brand="fashion", max_price=Money(minor=2_000))
        found = await store.call(call)
        assert (ids(found), found.relaxed) == (["old"], ())


async def test_a_word_of_the_description_alone_is_found_after_those_that_name_it() -> None:
    many = [product(f"boot-{n}", "Bota", "sapatos", description="Combina com vestido.") for n in range(RANKED + 5)]
    async with Shop(product("dress", "Vestido", "vestidos"), *many) as house:
        found = await house.search("vestido")
        assert (ids(found)[0], found.total) == ("dress", RANKED)


async def test_an_export_has_every_product_of_the_brand_page_by_page() -> None:
    async with Shop() as house:
        found: list[str] = []
        after: str | None = ""
        pages = 0
        while after is not None:
            page = await house.store.call(ExportCatalog(brand="fashion", after=after, limit=2), STAFF)
            found += [str(one.id) for one in page.products]
            after, pages = page.next, pages + 1
        assert found == ["aurora", "safira", "basico", "sandal", "boot", "bag"], "the sold-out one too, tech's not"
        assert pages == 4, "a last full page is followed by an empty one"
        assert (await house.store.call(ExportCatalog(brand="nobody"), STAFF)).products == ()
        with pytest.raises(Forbidden):
            await house.store.call(ExportCatalog(brand="fashion"), Principal(brand="fashion"))


async def test_a_catalogue_put_back_from_a_backup_forgets_what_came_later() -> None:
    async with Shop() as house:
        await house.search("vestdio")
        await house.store.call(ImportCatalog(products=(product("pan", "Panela", "cozinha"),)), STAFF)
        await house.store.settle()
        assert (await house.search("panla")).corrected == "panela"

        async def put_back(unit: Any) -> None:
            await unit.db.run(delete(t.words).where(t.words.c.word == "panela"))
            await unit.db.run(update(t.state).values(revision=1))

        await house.store.runtime.store.run(put_back)
        assert (await house.search("panla")).corrected is None


async def test_many_catalogues_in_one_process_each_keep_their_words() -> None:
    for n in range(6):
        async with Shop(product("pan", f"Panela {'abcdef'[n] * 5}", "cozinha")) as house:
            assert (await house.search("panla")).corrected == "panela"


async def test_an_empty_store_finds_nothing() -> None:
    async with shop() as store:
        assert await store.call(SearchProducts(text="vestido")) == SearchResult(hits=(), total=0)
        assert (await store.call(SearchProducts(brand="fashion"))).hits == ()
        assert (await store.call(SearchProducts(brand="fashion", color="red"))).hits == ()


async def test_sold_out_products_are_shown_when_asked_for() -> None:
    async with Shop() as house:
        assert "basico" not in ids(await house.search("vestido"))
        assert ids(await house.search("básico")) == []
        assert ids(await house.search("básico", in_stock=False)) == ["basico"]


async def test_facets_count_what_was_found() -> None:
    async with Shop() as house:
        facets = (await house.search("vestido festa", limit=1)).facets
        assert {(facet.value, facet.count) for facet in facets["color"]} == {("vermelho", 1), ("azul-marinho", 2)}
        assert {(facet.value, facet.count) for facet in facets["category"]} == {("vestidos", 2)}


async def test_a_sku_or_product_id_is_found_as_it_is() -> None:
    async with Shop() as house:
        assert ids(await house.search("phone-0")) == ["phone"]
        assert ids(await house.search("no-such-code")) == []


async def test_a_price_by_hand_is_shown_and_filters() -> None:
    floored = product("safira", "Vestido Longo Safira", "vestidos", {**BLUE, "price": "300.00", "floor": "80.00"})
    async with Shop(floored) as house:
        await house.store.call(SetPrice(sku=Sku("SAFIRA-0"), price=Money(minor=9_000), reason="last one"), STAFF)
        await house.store.settle()
        found = await house.search("safira", max_price=Money(minor=9_000))
        assert found.hits[0].product.variants[0].price == Money(minor=9_000)


async def test_a_hit_never_breaks_a_filter_even_when_projections_are_late() -> None:
    """Stock is gone and the price is up, but the catalogue has not heard of it yet: the answer asks now."""
    async with Shop() as house:
        stale = await house.store.rows(select(t.products.c.available).where(t.products.c.id == "aurora"))
        assert stale[0]["available"] == 15

        async def behind_the_back(unit: Any) -> None:
            await unit.db.run(update(levels).where(levels.c.sku.like("AURORA-%")).values(on_hand=0))
            await unit.db.run(update(prices).where(prices.c.sku == "SAFIRA-0").values(price_minor=99_900))

        await house.store.runtime.store.run(behind_the_back)
        assert ids(await house.search("vestido festa", relax=False)) == ["safira"]
        assert ids(await house.search("vestido festa", max_price=Money(minor=30_000), relax=False)) == []
        assert (await house.search("vestido festa")).hits[0].product.variants[0].price == Money(minor=99_900)


async def test_the_last_unit_that_is_reserved_leaves_the_search() -> None:
    async with Shop() as house:
        line = {"sku": "BAG-0", "quantity": 5}
        command = {"order_id": "o", "customer_id": "c", "lines": [line], "expires_at": "2026-01-05T13:00:00Z"}
        await house.store.publish(InventoryReserve.model_validate(command))
        await house.store.settle()
        assert ids(await house.search("bolsa", relax=False)) == []


async def test_only_the_newest_version_of_a_fact_counts() -> None:
    async with TestStore([catalog]) as store:
        await store.call(ImportCatalog(products=PRODUCTS), STAFF)
        await store.settle()
        money = Money(minor=100)
        sku = Sku("BAG-0")
        for version, price in ((3, 300), (2, 200)):
            await store.publish(PriceChanged(sku=sku, version=version, price=Money(minor=price), reason="x"))
        for version, units in ((5, 7), (4, 9)):
            await store.publish(
                StockUpdated(
                    sku=sku, version=version, location="cd", on_hand=units, reserved=0, available=units, cause="adjust"
                )
            )
        await store.publish(PriceChanged(sku=Sku("NOPE"), version=1, price=money, reason="x"))
        await store.settle()
        row = (await store.rows(select(t.products).where(t.products.c.id == "bag")))[0]
        assert (row["price_minor"], row["available"], row["colors"]) == (300, 7, "preto")
        assert await store.dead() == []


async def test_products_are_given_by_id_and_sku_once_each() -> None:
    async with Shop() as house:
        found = await house.store.call(GetProducts(ids=("PHONE-0", "aurora", "nope", "AURORA-1", "phone")))
        assert [view.id for view in found] == ["phone", "aurora"]


async def test_a_product_without_prices_is_not_on_sale() -> None:
    """Whoever would price it hears nothing of it."""
    async with TestStore([catalog, tools_of(pricing), tools_of(inventory)]) as store:
        await store.call(ImportCatalog(products=PRODUCTS[-1:]), STAFF)
        await store.settle()
        assert await store.call(GetProducts(ids=("phone",))) == ()


async def test_categories_are_counted_by_brand() -> None:
    async with Shop() as house:
        mine = await house.store.call(ListCategories(), Principal(brand="fashion"))
        assert [(one.category, one.products) for one in mine] == [("vestidos", 3), ("sapatos", 2), ("bolsas", 1)]
        assert [one.category for one in await house.store.call(ListCategories(brand="tech"))] == ["fones"]
        assert len(await house.store.call(ListCategories(brand="*"))) == 4


async def test_similar_products_are_of_the_category_in_stock_and_near() -> None:
    async with Shop() as house:
        hits = await house.store.call(Recommend(product_id="AURORA-0"))
        assert [(hit.product.id, hit.reason) for hit in hits] == [("safira", "similar")]
        assert await house.store.call(Recommend(product_id="aurora", max_price=Money(minor=5_000))) == ()
        sold_out = await house.store.call(Recommend(product_id="basico"))
        assert [hit.product.id for hit in sold_out] == ["aurora", "safira"]


async def test_complements_are_the_declared_ones_then_those_of_the_category() -> None:
    async with Shop() as house:
        hits = await house.store.call(Recommend(product_id="aurora", kind="complementary", limit=5))
        assert [(hit.product.id, hit.reason) for hit in hits] == [
            ("sandal", "complement"),
            ("bag", "complement"),
            ("boot", "often_together"),
        ]
        learned = await house.store.call(Recommend(product_id="safira", kind="complementary"))
        assert {hit.product.id for hit in learned} == {"sandal", "bag", "boot"}
        assert {hit.reason for hit in learned} == {"often_together"}


async def test_a_recommendation_for_nothing_is_not_found() -> None:
    async with Shop() as house:
        with pytest.raises(NotFound, match="nope"):
            await house.store.call(Recommend(product_id="nope"))


async def test_a_query_by_event_is_answered_by_one() -> None:
    async with Shop() as house:
        query = ProductQuery(query_id="q1", search=SearchProducts(text="vestido midi"))
        await house.store.publish(query, brand="fashion", channel="kiosk")
        await house.store.settle()
        (answer,) = house.store.events(ProductQueryResult)
        assert (answer.query_id, ids(answer.result)[0]) == ("q1", "aurora")
        envelope = next(e for e in house.store.envelopes if e.type == ProductQueryResult.event_type)
        assert (envelope.brand, envelope.channel) == ("fashion", "kiosk")


async def test_an_import_tells_a_fact_and_an_update_a_product() -> None:
    async with Shop() as house:
        assert [event.product_id for event in house.store.events(ProductImported)] == [p.id for p in PRODUCTS]
        assert len(house.store.events(ProductUpdated)) == len(PRODUCTS)
        assert {event.revision for event in house.store.events(ProductImported)} == {1}


async def test_an_import_is_for_staff() -> None:
    async with Shop() as house:
        with pytest.raises(Forbidden):
            await house.store.call(ImportCatalog(products=PRODUCTS[:1]), Principal(customer_id="c"))


async def test_a_faulty_import_changes_nothing() -> None:
    good = product("novo", "Vestido Novo", "vestidos")
    async with Shop() as house:
        faulty: list[tuple[tuple[ImportProduct, ...], str]] = [
            ((good, product("outro", "Outro", "x", complements=["nope"])), "there is no product nope"),
            ((good, product("outro", "Outro", "x", {"sku": "BAG-0"})), "the SKU belongs to bag"),
            ((good, good), "stands in the file 2 times"),
            ((good, product("outro", "Outro", "x", {"sku": "NOVO-0"})), "the SKU stands in the file 2 times"),
            ((good, product("outro", "Outro", "x", complements=["outro"])), "does not complement itself"),
            ((good, product("outro", "Outro", "x", {"price": "0.00"})), "above zero"),
            ((good, product("outro", "Outro", "x", {"floor": "101.00"})), "floor"),
            ((good, product("outro", "Outro", "x", {"list_price": "99.00"})), "list_price"),
            ((good, product("outro", "Outro", "x", {"list_price": {"minor": 99_999, "currency": "USD"}})), "one currency"),
            ((good, product("outro", "Outro", "x", {"stock": {"cd": -1}})), "-1 units"),
        ]  # fmt: skip
        for products, why in faulty:
            with pytest.raises(InvalidInput, match="nothing was imported") as refused:
                await house.store.call(ImportCatalog(products=products), STAFF)
            assert why in refused.value.message
        await house.store.settle()
        assert await house.store.call(GetProducts(ids=("novo",))) == ()
        assert len(house.store.events(ProductImported)) == len(PRODUCTS)


async def test_an_import_replaces_a_product_wholly() -> None:
    async with Shop() as house:
        new = product(
            "aurora", "Saia Rodada", "saias", {"sku": "AURORA-1", "color": "verde", "size": "M"}, tags=["linho"]
        )
        await house.store.call(ImportCatalog(products=(new,)), STAFF)
        await house.store.settle()
        assert ids(await house.search("midi", relax=False)) == []
        assert ids(await house.search("saia verde linho")) == ["aurora"]
        (view,) = await house.store.call(GetProducts(ids=("aurora",)))
        assert ([v.sku for v in view.variants], view.complements) == (["AURORA-1"], ())
        assert (await house.search("midi")).corrected != "midi", "its old words are gone from the vocabulary"
        found = await house.store.call(ListCategories(brand="fashion"))
        assert (found[0].category, found[0].products) == ("sapatos", 2)


async def test_a_variant_that_comes_back_has_its_price_and_stock_at_once() -> None:
    async with Shop() as house:
        without = product("bag", "Bolsa Lira", "bolsas", {"sku": "BAG-9", "color": "verde"})
        await house.store.call(ImportCatalog(products=(without,)), STAFF)
        await house.store.settle()
        await house.store.call(ImportCatalog(products=(PRODUCTS[5],)), STAFF)
        await house.store.settle()
        assert [v.sku for v in (await house.search("bolsa")).hits[0].product.variants] == ["BAG-0"]


async def test_a_sku_moves_to_another_product_of_the_same_file() -> None:
    async with Shop() as house:
        moved = (
            product("bag", "Bolsa Lira", "bolsas", {"sku": "BAG-1"}),
            product("tote", "Bolsa Tote", "bolsas", {"sku": "BAG-0"}),
        )
        await house.store.call(ImportCatalog(products=moved), STAFF)
        await house.store.settle()
        found = await house.store.call(GetProducts(ids=("BAG-0", "BAG-1")))
        assert [view.id for view in found] == ["tote", "bag"]


async def test_a_product_moves_to_another_brand() -> None:
    async with Shop() as house:
        moved = product("phone", "Fone de Ouvido Gota", "fones", {"sku": "PHONE-0"}, brand="gaming")
        await house.store.call(ImportCatalog(products=(moved,)), STAFF)
        await house.store.settle()
        assert ids(await house.search("fone", brand="tech")) == []
        assert ids(await house.search("fone", brand="gaming")) == ["phone"]


async def test_search_goes_on_after_a_kill() -> None:
    async with Shop() as house:
        await house.store.kill_and_restart()
        await house.store.settle()
        assert ids(await house.search("vestdio midi")) == ["aurora"]


async def test_two_catalogues_in_one_process_do_not_mix() -> None:
    async with Shop() as one, Shop(product("pan", "Panela de Ferro", "cozinha")) as other:
        assert (await one.search("panla")).hits == ()
        assert (await other.search("panla")).corrected == "panela"


async def test_stock_by_hand_reaches_the_search() -> None:
    async with Shop() as house:
        change = AdjustStock(sku=Sku("BASICO-0"), location="cd-cajamar", change=3, reason="found")
        await house.store.call(change, STAFF)
        await house.store.settle()
        assert "basico" in ids(await house.search("vestido"))
