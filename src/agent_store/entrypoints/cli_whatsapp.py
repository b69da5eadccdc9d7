"""`agent-store whatsapp`: keeps Meta's side in step with the store: templates, catalogues, profiles, numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from agent_store.entrypoints.cli_where import client_of, where

if TYPE_CHECKING:
    from agent_store.adapters.whatsapp.management import GraphManagement
    from agent_store.contracts.catalog import ProductView
    from agent_store.entrypoints.client import Client
    from agent_store.entrypoints.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])


_account = click.option(
    "--account", default=None, help="Id of the WhatsApp business account. [AGENT_STORE_WHATSAPP_ACCOUNT]"
)


def _settings() -> Settings:
    from agent_store.entrypoints.settings import load

    return load()


def _graph(data: Path | None, url: str) -> GraphManagement:
    """The Graph API that the settings name; else the simulator of the store."""
    from agent_store.adapters.whatsapp.management import GraphManagement
    from agent_store.entrypoints.datafolder import Secrets

    settings = _settings()
    token = settings.whatsapp_access_token
    if settings.whatsapp_graph_url:
        if not token:
            raise click.ClickException("set AGENT_STORE_WHATSAPP_ACCESS_TOKEN: the Graph API's access token")
        return GraphManagement(settings.whatsapp_graph_url, settings.whatsapp_api_version, token)
    secret = token or Secrets.load(data or settings.data).access_token
    return GraphManagement(f"{client_of(data, url).url}/simulator/graph", settings.whatsapp_api_version, secret)


def _account_of(given: str | None) -> str:
    settings = _settings()
    account = given or settings.whatsapp_account
    if not account and not settings.whatsapp_graph_url:
        from agent_store.adapters.whatsapp.cloud import ACCOUNT

        account = ACCOUNT
    if not account:
        raise click.ClickException(
            "which business account? Give --account or set AGENT_STORE_WHATSAPP_ACCOUNT (WhatsApp Manager shows its id)"
        )
    return account


@click.group()
def whatsapp() -> None:
    """Meta's side of WhatsApp: templates, catalogues, profiles, numbers."""


def _part(whole: dict[str, Any], name: str) -> dict[str, Any]:
    value = whole.get(name)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _app(entry: dict[str, Any]) -> str:
    return str((_part(entry, "whatsapp_business_api_data") or entry).get("name", "?"))


def _line(value: Any) -> str:
    return ", ".join(str(one) for one in cast("list[Any]", value)) if isinstance(value, list) else str(value)


# --- templates


@whatsapp.group()
def templates() -> None:
    """The message templates that reach customers who have not written for 24 hours."""


def _live(graph: GraphManagement, account: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {(str(one.get("name")), str(one.get("language"))): one for one in graph.templates(account)}


@templates.command("status")
@_account
@where
def templates_status(account: str | None, data: Path | None, url: str) -> None:
    """How the platform sees each of the store's templates. Exit code 1 when one cannot be sent."""
    from agent_store.adapters.whatsapp import commerce

    with _graph(data, url) as graph:
        live = _live(graph, _account_of(account))
    missing = 0
    for found, language in commerce.all_templates():
        ours = commerce.template(found, language)
        theirs = live.get((found.name, ours["language"]))
        state = "absent" if theirs is None else str(theirs.get("status", "?"))
        missing += state != "APPROVED"
        note = "  (its text is not the store's: submit it again)" if theirs and commerce.differs(ours, theirs) else ""
        click.echo(f"{found.name:<20} {ours['language']:<6} {found.category:<10} {state}{note}")
    if missing:
        raise click.exceptions.Exit(1)


@templates.command("submit")
@click.argument("names", nargs=-1)
@_account
@click.option("--dry-run", is_flag=True, help="Print what would be sent, and send nothing.")
@where
def templates_submit(names: tuple[str, ...], account: str | None, dry_run: bool, data: Path | None, url: str) -> None:
    """Submit the store's templates for approval: those that are absent, or whose text has changed."""
    import json

    from agent_store.adapters.whatsapp import commerce

    try:
        wanted = list(commerce.all_templates(names))
    except KeyError as error:
        raise click.ClickException(f"there is no template {error.args[0]}") from error
    if dry_run:
        click.echo(json.dumps([commerce.template(*one) for one in wanted], ensure_ascii=False, indent=2))
        return
    with _graph(data, url) as graph:
        business = _account_of(account)
        live = _live(graph, business)
        for found, language in wanted:
            ours = commerce.template(found, language)
            theirs = live.get((found.name, ours["language"]))
            if theirs is None:
                made = graph.create_template(business, ours)
                click.echo(f"{found.name} {ours['language']}: submitted, {made.get('status', 'PENDING')}")
            elif commerce.differs(ours, theirs):
                graph.edit_template(str(theirs["id"]), ours)
                click.echo(f"{found.name} {ours['language']}: changed, reviewed again")
            else:
                click.echo(f"{found.name} {ours['language']}: {theirs.get('status', '?')}")


# --- catalogue


@whatsapp.group()
def catalog() -> None:
    """Meta's catalogue, which customers browse in the chat."""


def _products(store: Client, brand: str) -> Iterator[ProductView]:
    from agent_store.contracts.catalog import CatalogPage

    after: str | None = ""
    while after is not None:
        page = CatalogPage.model_validate(
            store.post("/api/tools/catalog.export", {"brand": brand, "after": after, "limit": 100})
        )
        yield from page.products
        after = page.next


@catalog.command("sync")
@click.argument("brand")
@click.option("--catalog", "catalog_id", default=None, help="Id of Meta's catalogue (else the brand's own).")
@click.option("--keep-others", is_flag=True, help="Do not delete items that the store does not have.")
@click.option("--dry-run", is_flag=True, help="Only count what would be sent and deleted.")
@click.option("--wait", default=300.0, show_default=True, help="Seconds to wait for Meta to work through each batch.")
@where
def catalog_sync(
    brand: str,
    catalog_id: str | None,
    keep_others: bool,
    dry_run: bool,
    wait: float,
    data: Path | None,
    url: str,
) -> None:
    """Bring the products of BRAND into Meta's catalogue: each variant is an item, and its id there is our SKU."""
    from agent_store.adapters.whatsapp import commerce

    store = client_of(data, url)
    entry = next((one for one in store.get("/api/brands") if one["name"] == brand), None)
    if entry is None:
        raise click.ClickException(f"there is no brand {brand}")
    target = catalog_id or entry["whatsapp_catalog_id"]
    if not target:
        raise click.ClickException(
            f"{brand} has no catalogue: give --catalog, or set its whatsapp_catalog_id (Commerce Manager shows the id)"
        )
    shop = commerce.Shop(
        entry["title"],
        _settings().public_url or store.url,
        "".join(digit for digit in entry["display_phone"] if digit.isdecimal()),
    )
    requests = list(commerce.updates(_products(store, brand), shop))
    ours = {one["data"]["id"] for one in requests}
    with _graph(data, url) as graph:
        gone = set[str]() if keep_others else graph.retailer_ids(target) - ours
        click.echo(f"{len(requests)} items to bring in, {len(gone)} to delete.")
        if dry_run:
            return
        if gone and not ours:
            raise click.ClickException(f"{brand} has no products: nothing was deleted")
        requests += commerce.deletes(sorted(gone))
        wrong: list[str] = []
        for start in range(0, len(requests), commerce.BATCH):
            batch = requests[start : start + commerce.BATCH]
            wrong += graph.batch_errors(target, graph.send_items(target, batch), seconds=wait)
            click.echo(f"{start + len(batch)} of {len(requests)} done")
    if wrong:
        raise click.ClickException(f"{len(wrong)} items went wrong. " + " | ".join(wrong[:10]))


# --- numbers


@whatsapp.command("numbers")
@where
def numbers(data: Path | None, url: str) -> None:
    """Each of the store's numbers as Meta sees it: name, quality, throughput."""
    from agent_store.adapters.whatsapp.management import Refused

    store = client_of(data, url)
    with _graph(data, url) as graph:
        for brand in store.get("/api/brands"):
            for number in brand["phone_number_ids"]:
                try:
                    seen = graph.number(number)
                except Refused as error:
                    click.echo(f"{number:<18} {brand['name']:<10} {error.message}")
                    continue
                told = [seen.get(name) for name in ("display_phone_number", "verified_name", "quality_rating")]
                told.append(_part(seen, "throughput").get("level"))
                click.echo(f"{number:<18} {brand['name']:<10} {'  '.join(str(one) for one in told if one)}")


@whatsapp.command("subscribe")
@_account
@where
def subscribe(account: str | None, data: Path | None, url: str) -> None:
    """Have the business account's webhooks sent to the app that the access token is of."""
    with _graph(data, url) as graph:
        business = _account_of(account)
        graph.subscribe(business)
        apps = [_app(one) for one in graph.subscribed_apps(business)]
    click.echo(f"Webhooks go to: {', '.join(apps) or 'nobody (is the token of the right app?)'}")


@whatsapp.command("register")
@click.argument("number")
@click.option("--pin", prompt="PIN of the number's two-step verification", hide_input=True)
@where
def register(number: str, pin: str, data: Path | None, url: str) -> None:
    """Make NUMBER (a phone number id) usable with the Cloud API."""
    if not (pin.isdecimal() and len(pin) == 6):
        raise click.ClickException("the PIN has six digits")
    with _graph(data, url) as graph:
        graph.register(number, pin)
    click.echo(f"{number} is registered.")


# --- profile

_LIMITS = {"about": 139, "address": 256, "description": 512, "email": 128}


@whatsapp.group()
def profile() -> None:
    """What customers see of the business on a number."""


@profile.command("show")
@click.argument("number")
@where
def profile_show(number: str, data: Path | None, url: str) -> None:
    """Print NUMBER's profile (a phone number id)."""
    with _graph(data, url) as graph:
        for name, value in graph.profile(number).items():
            click.echo(f"{name:<20} {_line(value)}")


@profile.command("set")
@click.argument("number")
@click.option("--about", default=None, help="One line under the name, at most 139 characters.")
@click.option("--address", default=None)
@click.option("--description", default=None)
@click.option("--email", default=None)
@click.option("--vertical", default=None, help="RETAIL, APPAREL, BEAUTY, GROCERY …")
@click.option("--website", "websites", multiple=True, help="At most two.")
@where
def profile_set(number: str, websites: tuple[str, ...], data: Path | None, url: str, **fields: str | None) -> None:
    """Change the given fields of NUMBER's profile; the others stay."""
    given: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    for name, most in _LIMITS.items():
        if name in given and not 0 < len(given[name]) <= most:
            raise click.ClickException(f"--{name} has 1 to {most} characters, not {len(given[name])}")
    if len(websites) > 2:
        raise click.ClickException("a profile has at most two websites")
    if any(not one.startswith(("https://", "http://")) for one in websites):
        raise click.ClickException("a website begins with https:// or http://")
    if websites:
        given["websites"] = list(websites)
    if not given:
        raise click.ClickException("nothing to change: give at least one field")
    with _graph(data, url) as graph:
        graph.set_profile(number, given)
    click.echo(f"Changed: {', '.join(given)}.")
