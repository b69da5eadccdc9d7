"""`agent-store`: runs the store and looks into it. Heavy parts are imported by the command that needs them."""

from __future__ import annotations

import gc
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from agent_store.entrypoints.cli_dead import dead
from agent_store.entrypoints.cli_kube import crd, operator
from agent_store.entrypoints.cli_simulator import simulator
from agent_store.entrypoints.cli_whatsapp import whatsapp
from agent_store.entrypoints.settings import Settings, load, variable
from agent_store.kernel.errors import StoreError


class _Group(click.Group):
    """Turns our own errors into one sentence and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StoreError as error:
            raise click.ClickException(error.message) from error


def _settings(**options: Any) -> Settings:
    return load(None, **options)


def _quickly() -> None:
    """No garbage collection while a process is imported and put together: it would walk again and again what stays for
    good, a fifth of the time to start. `entrypoints.serve` and `entrypoints.up` turn it on again when that is done."""
    gc.disable()


def _data() -> Path:
    return load().data


def _data_option(command: Any) -> Any:
    return click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        default=None,
        help="The store's data folder (./var).",
    )(command)


def _client(data: Path | None) -> Any:
    from agent_store.entrypoints.client import Client

    return Client(data or _data())


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="agent-store")
def main() -> None:
    """A multi-brand shop whose sellers are AI agents."""


@main.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), help=f"Port to listen on (8080; 0 takes a free one). [{variable('port')}]"
)
@click.option("--host", help=f"Address to listen on (127.0.0.1). [{variable('host')}]")
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help=f"Data folder (./var). [{variable('data')}]"
)
@click.option(
    "--brain",
    type=click.Choice(["rules", "ollama", "openai"]),
    help=f"What the sellers think with. [{variable('brain')}]",
)
@click.option(
    "--sample-data/--no-sample-data",
    default=None,
    help=f"Sample catalogues at the first start (yes). [{variable('sample_data')}]",
)
def up(**options: object) -> None:
    """Run the whole store in this process: five sellers, catalogue, orders, payments, a WhatsApp simulator.

    Every other setting is an AGENT_STORE_… environment variable: see docs/settings.md.
    """
    _quickly()
    from agent_store.entrypoints.up import run

    run(_settings(**options))


@main.command()
@_data_option
@click.option("--brand", "brands", multiple=True, help="Only this brand; may be given several times.")
def samples(data: Path | None, brands: tuple[str, ...]) -> None:
    """Put the sample locations and catalogues into a running store (`up` does so by itself at its first start)."""
    import yaml

    from agent_store.entrypoints import assets

    client = _client(data)
    folder = assets.folder("data")
    locations: dict[str, Any] = yaml.safe_load((folder / "locations.yaml").read_text("utf-8"))
    client.post("/api/tools/inventory.import_locations", {"locations": locations["locations"]})
    for brand in client.get("/api/brands"):
        path = folder / f"{brand['name']}.yaml"
        if path.is_file() and (not brands or brand["name"] in brands):
            done = client.request("POST", "/api/catalog/import", params={"form": "yaml"}, content=path.read_bytes())
            click.echo(f"{brand['name']}: {done['products']} products, {done['variants']} variants")


_SERVED = (
    click.option("--bus", metavar="URL", help=f"amqp://…, amqps://…, or knative. [{variable('bus')}]"),
    click.option("--database", "database_url", metavar="URL", help=f"postgresql://… [{variable('database_url')}]"),
    click.option(
        "--services", metavar="FILE", help=f"Which service runs which agents, and where. [{variable('services')}]"
    ),
    click.option("--port", type=click.IntRange(0, 65535), help=f"Port to listen on. [{variable('port')}]"),
    click.option("--host", help=f"Address to listen on (127.0.0.1). [{variable('host')}]"),
    click.option("--data", type=click.Path(file_okay=False, path_type=Path), help=f"Data folder. [{variable('data')}]"),
)


def _served_options(command: Any) -> Any:
    for option in reversed(_SERVED):
        command = option(command)
    return command


@main.command()
@click.argument("agents", nargs=-1, required=True)
@_served_options
@click.option("--service", help=f"Name of this deployment (its first agent's). [{variable('service')}]")
@click.option("--api/--no-api", default=None, help="The APIs and pages as well (yes where `assistant` runs).")
@click.option("--steward", is_flag=True, help="Do the steward's work in this process too.")
def serve(agents: tuple[str, ...], api: bool | None, steward: bool, **options: object) -> None:
    """Run these AGENTS as one process of a store that is several, on a bus and a database.

    `orders payments`, `seller` (every brand), `seller/fashion`, or `all`. Somewhere the steward must run as well: as
    `agent-store steward`, or in one of these processes.
    """
    _quickly()
    from agent_store.entrypoints.serve import run
    from agent_store.entrypoints.served import ServedProcess

    run(_settings(**options), lambda settings: ServedProcess(settings, agents, api=api, steward=steward))


@main.command()
@_served_options
def steward(**options: object) -> None:
    """Run what looks after the other processes: timers, schedules, what they left unpublished or lost, dead letters."""
    _quickly()
    from agent_store.entrypoints.serve import run
    from agent_store.entrypoints.served import StewardProcess

    run(_settings(**options), StewardProcess)


@main.command()
@click.option("--mode", type=click.Choice(["embedded", "rabbitmq", "knative"]), default="embedded", show_default=True)
@click.option(
    "--faults",
    default="all",
    show_default=True,
    help="Names with commas between (with + those at the same time), all, none.",
)
@click.option("--customers", default=4, show_default=True, help="Customers at a time.")
@click.option("--seconds", default=12.0, show_default=True, help="How long a fault lasts, about.")
@click.option("--replicas", default=1, show_default=True, help="Processes of each kind (not embedded).")
@click.option("--seed", default=1, show_default=True, help="The same seed harms at the same moments, about.")
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Keep everything in this (empty) folder."
)
@click.option("--json", "as_json", is_flag=True, help="The report as JSON; progress goes to standard error.")
def drill(
    mode: str, faults: str, customers: int, seconds: float, replicas: int, seed: int, data: Path | None, as_json: bool
) -> None:
    """Start a store, load it, inject faults, and show that nothing was lost, doubled, oversold, overcharged or disordered.

    Everything is its own: programs, database, customers, the platform. Exits 1 when something did not hold.
    """
    from agent_store.entrypoints.drill.main import run

    if not run(mode, faults, customers, seconds, replicas, seed, data, as_json=as_json):
        raise SystemExit(1)


@main.command()
@_data_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(data: Path | None, yes: bool) -> None:
    """Delete the data folder's database, secrets and added brands: the next start is a first start."""
    from agent_store.entrypoints.embedded import DataLock

    folder = data or _data()
    if not folder.is_dir():
        raise click.ClickException(f"there is no {folder}")
    if not (folder / "store.sqlite3").exists() and any(folder.iterdir()):
        raise click.ClickException(
            f"{folder} does not look like a store's data folder (no store.sqlite3): nothing was deleted"
        )
    if not yes:
        click.confirm(f"Delete everything in {folder.resolve()}?", abort=True)
    lock = DataLock(folder)
    try:
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    finally:
        lock.release()
    click.echo(f"{folder} is empty; `agent-store up` begins anew.")


# --- the database ----------------------------------------------------------------------------------------------------


def _database_option(command: Any) -> Any:
    return click.option(
        "--database",
        metavar="URL",
        default=None,
        help=f"postgresql://user:password@host/database; without it, the file in the data folder. [{variable('database_url')}]",
    )(command)


def _agents_option(command: Any) -> Any:
    return click.option(
        "--agents", metavar="NAMES", default="", help="Only these, with commas between (all of this package)."
    )(command)


def _agents(names: str) -> Any:
    from agent_store.entrypoints.database import agents_named

    return agents_named([name.strip() for name in names.split(",") if name.strip()])


@main.command()
@_database_option
@_data_option
@_agents_option
@click.option("--to", default="head", show_default=True, help="head, base (nothing is left), or a revision.")
@click.option("--check", is_flag=True, help="Change nothing; exit 1 when the database is behind.")
@click.option("--sql", "as_sql", is_flag=True, help="Change nothing; print the statements.")
@click.option("--yes", is_flag=True, help="Do not ask before tables are dropped.")
def migrate(
    database: str | None, data: Path | None, agents: str, to: str, check: bool, as_sql: bool, yes: bool
) -> None:
    """Bring the database to the tables that this program needs; a second run at once waits and does nothing."""
    from agent_store.entrypoints import database as db

    settings, chosen = _settings(database_url=database, data=data), _agents(agents)
    address, path = settings.database_url, settings.database
    if check:
        db.check(address, path, chosen, say=click.echo)
    elif as_sql:
        click.echo(db.sql(address, path, chosen, to=to), nl=False)
    else:
        if to != "head" and not yes:
            click.confirm(f"Going back to {to} drops what newer revisions added, with its data. Go on?", abort=True)
        db.migrate(address, path, chosen, to=to, say=click.echo)


@main.command()
@_database_option
@_agents_option
@click.option("--login", "logins", multiple=True, help="A login role that processes use: made a member. Repeatable.")
def roles(database: str | None, agents: str, logins: tuple[str, ...]) -> None:
    """Create a database role an agent, with rights on its own tables and the kernel's only (PostgreSQL)."""
    from agent_store.entrypoints import database as db

    address = _settings(database_url=database).database_url
    if not address:
        raise click.ClickException("roles are PostgreSQL's: give --database postgresql://…")
    db.grant(address, _agents(agents), logins=logins, say=click.echo)


@main.command()
@click.argument("target", type=click.Path(file_okay=False, path_type=Path))
@_data_option
def backup(target: Path, data: Path | None) -> None:
    """Copy the data folder to a new folder TARGET, also while the store runs; a store starts on the copy."""
    from agent_store.entrypoints import database as db

    db.backup(data or _data(), target, say=click.echo)


# --- talking ---------------------------------------------------------------------------------------------------------


@main.command()
@_data_option
@click.option(
    "--brand", default="fashion", show_default=True, help="Brand to write to; `shared` for the shared number."
)
@click.option(
    "--as", "customer", default="5511900000001", show_default=True, help="Phone number of the simulated customer."
)
def chat(data: Path | None, brand: str, customer: str) -> None:
    """Chat with a seller in this terminal, through the WhatsApp simulator and the real gateway."""
    from agent_store.entrypoints.terminal import chat as run_chat

    run_chat(_client(data), brand, customer)


@main.command()
@_data_option
@click.option("--fast", is_flag=True, help="Without pauses between the messages.")
def demo(data: Path | None, fast: bool) -> None:
    """A walk through the whole journey, with its events told as they pass."""
    from agent_store.entrypoints.terminal import demo as run_demo

    run_demo(_client(data), fast=fast)


# --- looking ---------------------------------------------------------------------------------------------------------


@main.group()
def events() -> None:
    """Look at the event stream."""


@events.command()
@_data_option
@click.option("--type", "prefix", default="", help="Only types that begin with this, like store.order.")
@click.option("--last", default=0, type=click.IntRange(0, 10_000), help="Begin with so many past events.")
@click.option("--json", "as_json", is_flag=True, help="Whole CloudEvents, one a line.")
@click.option("--follow/--no-follow", default=True, help="Go on as events come.")
def tail(data: Path | None, prefix: str, last: int, as_json: bool, follow: bool) -> None:
    """Print events as they pass; Ctrl-C ends it."""
    from agent_store.entrypoints.terminal import tail_events

    tail_events(_client(data), prefix=prefix, last=last, as_json=as_json, follow=follow)


@main.group()
def conversation() -> None:
    """Look into conversations."""


@conversation.command("list")
@_data_option
def conversation_list(data: Path | None) -> None:
    """The conversations that were active last."""
    from agent_store.entrypoints.terminal import print_conversations

    print_conversations(_client(data).get("/api/conversations"))


@conversation.command("show")
@click.argument("conversation_id")
@_data_option
@click.option("--json", "as_json", is_flag=True, help="The tree as JSON.")
def conversation_show(conversation_id: str, data: Path | None, as_json: bool) -> None:
    """Every event, tool call and decision of a conversation, as a tree of causes."""
    from agent_store.entrypoints.terminal import print_trail

    trail = _client(data).get(f"/api/conversations/{conversation_id}/trail")
    if as_json:
        click.echo(json.dumps(trail, indent=2, ensure_ascii=False))
    else:
        print_trail(trail)


main.add_command(simulator)
main.add_command(dead)
main.add_command(whatsapp)
main.add_command(operator)
main.add_command(crd)


# --- people ----------------------------------------------------------------------------------------------------------


@main.group(invoke_without_command=True)
@click.pass_context
@_data_option
def escalations(ctx: click.Context, data: Path | None) -> None:
    """The queue of conversations that wait for a person (without a command: list it)."""
    if ctx.invoked_subcommand is None:
        from agent_store.entrypoints.terminal import print_escalations

        print_escalations(_client(data).get("/api/escalations"))


def _as_person(name: str) -> dict[str, Any]:
    from urllib.parse import quote

    return {"headers": {"X-Staff-Name": quote(name)}}


_person = click.option("--as", "person", default="staff", show_default=True, help="Your name, as the customer sees it.")


@escalations.command("claim")
@click.argument("escalation_id")
@_person
@_data_option
def escalation_claim(escalation_id: str, person: str, data: Path | None) -> None:
    """Take a conversation: the bot is silent from then on."""
    _client(data).post(f"/api/escalations/{escalation_id}/claim", **_as_person(person))
    click.echo(f"It is yours. Answer with: agent-store escalations reply {escalation_id} --as {person} TEXT")


@escalations.command("reply")
@click.argument("escalation_id")
@click.argument("text", nargs=-1, required=True)
@_person
@_data_option
def escalation_reply(escalation_id: str, text: tuple[str, ...], person: str, data: Path | None) -> None:
    """Write to the customer."""
    _client(data).post(f"/api/escalations/{escalation_id}/reply", {"text": " ".join(text)}, **_as_person(person))
    click.echo("Sent.")


@escalations.command("hand-back")
@click.argument("escalation_id")
@click.option("--outcome", default="", help="What came of it, for the record.")
@_person
@_data_option
def escalation_hand_back(escalation_id: str, outcome: str, person: str, data: Path | None) -> None:
    """Give the conversation back to the bot."""
    _client(data).post(f"/api/escalations/{escalation_id}/hand-back", {"outcome": outcome}, **_as_person(person))
    click.echo("The bot has it again.")


# --- orders ----------------------------------------------------------------------------------------------------------


@main.group()
def order() -> None:
    """Look at orders and move them on: pick, ship, deliver."""


@order.command("list")
@click.option("--state", default=None, help="Only orders in this state, like confirmed.")
@_data_option
def order_list(state: str | None, data: Path | None) -> None:
    """Newest first."""
    from agent_store.entrypoints.terminal import print_orders

    print_orders(_client(data).get("/api/orders", state=state))


@order.command("show")
@click.argument("number")
@_data_option
def order_show(number: str, data: Path | None) -> None:
    """One order with its lines."""
    from agent_store.entrypoints.terminal import print_order

    print_order(_client(data).get(f"/api/orders/{number}"))


@order.command("pick")
@click.argument("number")
@_data_option
def order_pick(number: str, data: Path | None) -> None:
    """The goods are off the shelf and packed."""
    _moved(_client(data).post(f"/api/orders/{number}/pick"))


@order.command("ship")
@click.argument("number")
@click.option("--carrier", default="", help="Who carries it.")
@click.option("--tracking", default="", help="Tracking code; the customer gets it.")
@_data_option
def order_ship(number: str, carrier: str, tracking: str, data: Path | None) -> None:
    """The parcel is with the carrier (for a pickup: ready at the counter)."""
    _moved(_client(data).post(f"/api/orders/{number}/ship", {"carrier": carrier, "tracking": tracking}))


@order.command("deliver")
@click.argument("number")
@_data_option
def order_deliver(number: str, data: Path | None) -> None:
    """The customer has it."""
    _moved(_client(data).post(f"/api/orders/{number}/deliver"))


def _moved(order: dict[str, Any]) -> None:
    click.echo(f"{order['number']} is {order['state']}; the customer hears of it.")


# --- catalogue and brands --------------------------------------------------------------------------------------------


@main.group()
def catalog() -> None:
    """Products."""


@catalog.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_data_option
def catalog_import(file: Path, data: Path | None) -> None:
    """Put in a CSV, JSON or YAML file: all of it, or nothing and a list of errors by row."""
    form = {".csv": "csv", ".json": "json", ".yaml": "yaml", ".yml": "yaml"}.get(file.suffix.lower())
    if form is None:
        raise click.ClickException(f"{file.name}: a catalogue file is .csv, .json or .yaml")
    report = _client(data).request("POST", "/api/catalog/import", params={"form": form}, content=file.read_bytes())
    click.echo(f"{report['products']} products with {report['variants']} variants are in.")


@catalog.command("put")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--brand", required=True, help="Whose catalogue it is.")
@click.option("--wait", default=600.0, show_default=True, help="Seconds that the store's services are waited for.")
@click.option(
    "--settle", default=60.0, show_default=True, help="Seconds that prices and stock may take to reach the search."
)
@_data_option
def catalog_put(file: Path, brand: str, wait: float, settle: float, data: Path | None) -> None:
    """Put a brand's catalogue file into a store of several processes, as one of its services.

    Needs AGENT_STORE_DIRECTORY (or AGENT_STORE_SERVICES) and the services' AGENT_STORE_KEYS. What is not there yet is
    waited for.
    """
    import asyncio

    from agent_store.entrypoints.catalogue_put import put

    report = asyncio.run(
        put(_settings(data=data), file, brand, seconds=wait, settle=settle, say=lambda line: click.echo(line, err=True))
    )
    click.echo(f"{report.products} products with {report.variants} variants are in.")


@main.command()
@click.argument("schedules", nargs=-1)
@click.option("--bus", metavar="URL", help=f"amqp://…, amqps://…, or knative. [{variable('bus')}]")
@click.option("--wait", default=60.0, show_default=True, help="Seconds that the broker is waited for.")
@_data_option
def tick(schedules: tuple[str, ...], bus: str | None, wait: float, data: Path | None) -> None:
    """Post the ticks of SCHEDULES (all of them, `whatsapp`, or `whatsapp.NAME`) that are due now, for a CronJob.

    A tick's id is its planned time's: one that the steward posts as well, or that is posted again, counts once.
    """
    from agent_store.entrypoints.ticks import run

    run(_settings(bus=bus, data=data), schedules, seconds=wait, say=click.echo)


@main.group()
def brand() -> None:
    """Brands."""


@brand.command("add")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_data_option
def brand_add(file: Path, data: Path | None) -> None:
    """Add a brand from its YAML (see docs/add-a-brand.md): its seller answers at once."""
    added = _client(data).request("POST", "/api/brands", content=file.read_bytes())
    click.echo(f"{added['title']} is open: {added['seller']} answers on {', '.join(added['phone_number_ids'])}.")


@brand.command("list")
@_data_option
def brand_list(data: Path | None) -> None:
    """Brands and their numbers."""
    for item in _client(data).get("/api/brands"):
        click.echo(f"{item['name']:<10} {item['title']:<22} {item['seller']:<8} {', '.join(item['phone_number_ids'])}")


# --- contracts -------------------------------------------------------------------------------------------------------


@main.group()
def contracts() -> None:
    """Event and tool contracts."""


@contracts.command("export")
@click.option("--to", "folder", default="docs/contracts", type=click.Path(path_type=Path), show_default=True)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when the files are stale.")
def contracts_export(folder: Path, check: bool) -> None:
    """Write JSON Schemas, the AsyncAPI document and the tools' JSON contracts."""
    from agent_store.entrypoints import contracts_export as export

    if check:
        stale = export.stale(folder)
        if stale:
            click.echo("\n".join(stale), err=True)
            raise click.ClickException(f"{len(stale)} files in {folder} are stale: run `agent-store contracts export`")
        click.echo(f"{folder} is fresh.")
        return
    click.echo(f"{export.write(folder)} files in {folder}.")


if __name__ == "__main__":
    sys.exit(main())
