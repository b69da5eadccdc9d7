"""The catalogue: finds products, shows them with live prices and stock, recommends, takes catalogue files in."""

from __future__ import annotations

from datetime import timedelta

from agent_store.agents.catalog import importing, service
from agent_store.agents.catalog.tables import POSTGRES_DDL, SQLITE_DDL, metadata
from agent_store.contracts.catalog import (
    CatalogPage,
    Category,
    ExportCatalog,
    GetProducts,
    Hit,
    ImportCatalog,
    ImportReport,
    ListCategories,
    ProductQuery,
    ProductQueryResult,
    ProductView,
    Recommend,
    SearchProducts,
    SearchResult,
)
from agent_store.contracts.inventory import StockUpdated
from agent_store.contracts.pricing import PriceChanged
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context
from agent_store.kernel.tool import Principal

catalog = Agent("catalog", tables=metadata, ddl={"sqlite": SQLITE_DDL, "postgresql": POSTGRES_DDL})


@catalog.on(PriceChanged)
async def price_changed(event: PriceChanged, ctx: Context) -> None:
    await service.take_price(ctx, event)


@catalog.on(StockUpdated)
async def stock_updated(event: StockUpdated, ctx: Context) -> None:
    await service.take_stock(ctx, event)


@catalog.process(ProductQuery)
async def query(event: ProductQuery, ctx: Context) -> None:
    ctx.acting_for(Principal(brand=ctx.event.brand, channel=ctx.event.channel))
    result = await ctx.call(event.search)
    ctx.emit(ProductQueryResult(query_id=event.query_id, result=result))


@catalog.tool(SearchProducts)
async def search(call: SearchProducts, ctx: Context) -> SearchResult:
    return await service.search(ctx, call)


@catalog.tool(GetProducts)
async def products(call: GetProducts, ctx: Context) -> tuple[ProductView, ...]:
    return await service.products(ctx, call)


@catalog.tool(ExportCatalog)
async def export(call: ExportCatalog, ctx: Context) -> CatalogPage:
    return await service.export(ctx, call)


@catalog.tool(Recommend)
async def recommend(call: Recommend, ctx: Context) -> tuple[Hit, ...]:
    return await service.recommend(ctx, call)


@catalog.tool(ListCategories)
async def categories(call: ListCategories, ctx: Context) -> tuple[Category, ...]:
    return await service.categories(ctx, call.brand)


@catalog.tool(ImportCatalog, timeout=timedelta(minutes=15))
async def import_catalog(call: ImportCatalog, ctx: Context) -> ImportReport:
    return await importing.put(ctx, call.products)
