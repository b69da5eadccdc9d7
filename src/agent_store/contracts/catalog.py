"""Products: search, look, recommend."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agent_store.contracts.common import Shape
from agent_store.kernel.event import Event
from agent_store.kernel.ids import ProductId, Sku
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Tool


class VariantView(Shape):
    """One thing that can be bought, with its price from the price engine and its stock of this moment."""

    sku: Sku
    color: str | None = None
    size: str | None = None
    options: dict[str, str] = Field(default_factory=dict)
    price: Money
    list_price: Money | None = None
    available: int
    weight_g: int = 0


class ProductView(Shape):
    id: ProductId
    brand: str
    name: str
    category: str
    maker: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    attributes: dict[str, str] = Field(default_factory=dict)
    image: str
    """Path of the store's own: `/media/products/<id>.png`."""
    variants: tuple[VariantView, ...]
    complements: tuple[ProductId, ...] = ()
    picture: dict[str, str] = Field(default_factory=dict)
    """What the picture is drawn from: `shape` and `color`."""


class Hit(Shape):
    """A product found, with those of its variants that fit the filters (in stock first)."""

    product: ProductView
    score: float = 0.0
    reason: str = ""


class Facet(Shape):
    value: str
    count: int


class SearchResult(Shape):
    """`corrected` is the text that was really searched when typos were mended; `relaxed` names the filters that were
    let go because nothing fitted all of them ("max_price", "color", "size", "text")."""

    hits: tuple[Hit, ...]
    total: int
    corrected: str | None = None
    relaxed: tuple[str, ...] = ()
    facets: dict[str, tuple[Facet, ...]] = Field(default_factory=dict)


class SearchProducts(Tool[SearchResult], name="catalog.search"):
    """Find products by words, category, colour, size and price. Survives typos and missing accents."""

    text: str = Field(default="", max_length=200)
    brand: str | None = None
    """Default: the seller's own brand; "*" searches all."""
    category: str | None = None
    color: str | None = None
    size: str | None = None
    maker: str | None = None
    min_price: Money | None = None
    max_price: Money | None = None
    in_stock: bool = True
    sort: Literal["relevance", "price", "-price"] = "relevance"
    limit: int = Field(default=5, ge=1, le=50)
    offset: int = Field(default=0, ge=0, le=10_000)
    relax: bool = True
    """Let filters go when nothing fits all of them (and say so)."""


class GetProducts(Tool[tuple[ProductView, ...]], name="catalog.products"):
    """Products by product id or SKU, with prices and stock of this moment; unknown ones are left out."""

    ids: tuple[str, ...] = Field(min_length=1, max_length=20)


class CatalogPage(Shape):
    """`next` is what to pass as `after`; None: that was all."""

    products: tuple[ProductView, ...]
    next: str | None = None


class ExportCatalog(Tool[CatalogPage], name="catalog.export", staff_only=True):
    """All products of a brand, in stock or not, in the order in which they were imported; page by page."""

    brand: str
    after: str = Field(default="", pattern=r"^[0-9]{0,19}$")
    limit: int = Field(default=50, ge=1, le=100)


class Recommend(Tool[tuple[Hit, ...]], name="catalog.recommend"):
    """Products that go with one (complementary) or could take its place (similar), in stock."""

    product_id: str
    """Product id or SKU."""
    kind: Literal["similar", "complementary"] = "similar"
    max_price: Money | None = None
    limit: int = Field(default=3, ge=1, le=20)


class Category(Shape):
    category: str
    products: int


class ListCategories(Tool[tuple[Category, ...]], name="catalog.categories"):
    """The categories of a brand that have products, largest first."""

    brand: str | None = None


class ProductQuery(Event, type="store.product.query", topic="catalog", subject="query_id"):
    """The same question as `catalog.search`, for those who talk by events."""

    query_id: str
    search: SearchProducts


class ProductQueryResult(Event, type="store.product.query.result", topic="catalog", subject="query_id"):
    query_id: str
    result: SearchResult


class ProductUpdated(Event, type="store.product.updated", topic="catalog", subject="product_id"):
    product_id: ProductId
    brand: str
    skus: tuple[Sku, ...]


class ImportVariant(Shape):
    """A row of a catalogue file, checked."""

    sku: Sku = Field(pattern=r"^[A-Z0-9][A-Z0-9-]{1,31}$")
    color: str | None = None
    size: str | None = None
    options: dict[str, str] = Field(default_factory=dict)
    price: Money
    list_price: Money | None = None
    floor: Money | None = None
    """No discount goes below it; default: the price itself."""
    weight_g: int = Field(default=0, ge=0, le=100_000)
    stock: dict[str, int] = Field(default_factory=dict)
    """Units by location id."""


class ImportProduct(Shape):
    id: ProductId = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,63}$")
    brand: str
    name: str = Field(min_length=1, max_length=120)
    category: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    maker: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    attributes: dict[str, str] = Field(default_factory=dict)
    complements: tuple[ProductId, ...] = ()
    picture: dict[str, str] = Field(default_factory=dict)
    variants: tuple[ImportVariant, ...] = Field(min_length=1)


class ImportReport(Shape):
    products: int
    variants: int


class ImportCatalog(Tool[ImportReport], name="catalog.import", writes=True, staff_only=True):
    """Put products in (or replace them by id), all or none; prices and stock go to their agents as facts."""

    products: tuple[ImportProduct, ...] = Field(min_length=1, max_length=100_000)


class ProductImported(Event, type="store.product.imported", topic="catalog", subject="product_id"):
    """A product's prices and counted stock as its file gave them: pricing and inventory take them over."""

    product_id: ProductId
    brand: str
    name: str
    variants: tuple[ImportVariant, ...]
    revision: int = 0
    """Number of the import, growing: whoever has seen a higher one for a SKU ignores this one. 0: unknown, newest."""
