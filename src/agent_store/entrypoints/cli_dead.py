"""`agent-store dead`: what could not be handled, why, and what is to become of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import click

from agent_store.entrypoints.cli_where import client_of, where

F = TypeVar("F", bound=Callable[..., Any])


def _which(command: F) -> F:
    for option in (
        click.option("--reason", default=None, help="permanent, exhausted, timeout, crash, undelivered or unreadable."),
        click.option("--type", "event_type", default=None, help="Only this type; `store.order.*` takes a family."),
        click.option("--consumer", default=None, help="Only this consumer's, like orders or seller/fashion."),
    ):
        command = option(command)
    return command


_person = click.option("--as", "person", default="staff", show_default=True, help="Your name, for the record.")


def _by(person: str) -> dict[str, Any]:
    return {"headers": {"X-Staff-Name": quote(person)}}


@click.group()
def dead() -> None:
    """Dead letters: what could not be handled."""


@dead.command("list")
@_which
@click.option(
    "--state", type=click.Choice(["waiting", "replayed", "dropped", "any"]), default="waiting", show_default=True
)
@click.option("--before", type=click.IntRange(1), default=None, help="Only those with a lower number.")
@click.option("--limit", type=click.IntRange(1, 500), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@where
def dead_list(
    consumer: str | None,
    event_type: str | None,
    reason: str | None,
    state: str,
    before: int | None,
    limit: int,
    as_json: bool,
    data: Path | None,
    url: str,
) -> None:
    """Number, time, consumer, type, attempts and reason, newest first."""
    rows: list[dict[str, Any]] = client_of(data, url).get(
        "/api/dead", consumer=consumer, type=event_type, reason=reason, state=state, before=before, limit=limit
    )
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
        return
    if not rows:
        click.echo("No dead letters.")
    for row in rows:
        click.echo(
            f"{row['seq']:>5}  {row['at'][:19]}  {row['consumer']:<18} {row['type']:<34} {row['attempts']}×  "
            f"{row['reason']}: {row['error']}{_mark(row)}"
        )


def _mark(row: dict[str, Any]) -> str:
    if row["state"] != "waiting":
        return f" ({row['state']} by {row['by'] or 'nobody known'})"
    return " (replays itself)" if row["auto"] else ""


@dead.command("show")
@click.argument("seq", type=click.IntRange(1))
@click.option(
    "--reveal", is_flag=True, help="With texts, names and phone numbers; the store's log keeps that you asked."
)
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
@_person
@where
def dead_show(seq: int, reveal: bool, as_json: bool, person: str, data: Path | None, url: str) -> None:
    """Everything about one: reason, attempts, last error, and the event."""
    row: dict[str, Any] = client_of(data, url).request(
        "GET", f"/api/dead/{seq}", params={"reveal": reveal}, **_by(person)
    )
    if as_json:
        click.echo(json.dumps(row, indent=2, ensure_ascii=False))
        return
    click.echo(f"Dead letter {row['seq']}, {row['state']}{_mark(row) if row['state'] == 'waiting' else ''}")
    for title, value in (
        ("since", row["at"]),
        ("consumer", row["consumer"]),
        ("event", f"{row['type']} {row['id']} from {row['source']}"),
        ("reason", row["reason"]),
        ("attempts", row["attempts"]),
        ("last error", row["error"]),
        ("replayed", row["replayed_at"]),
        ("dropped", row["dropped_at"]),
        ("by", row["by"]),
    ):
        if value is not None:
            click.echo(f"  {title:<11}{value}")
    body = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"], indent=2, ensure_ascii=False)
    click.echo("\n".join(f"  {line}" for line in body.splitlines()))
    if row["masked"]:
        click.echo("  (masked; --reveal shows texts, names and phone numbers)")


def _many(command: F) -> F:
    for option in (
        _person,
        where,
        _which,
        click.option("--all", "everything", is_flag=True, help="All that wait and match the filters."),
        click.argument("numbers", nargs=-1, type=click.IntRange(1)),
    ):
        command = option(command)
    return command


@dead.command("replay")
@_many
def dead_replay(
    numbers: tuple[int, ...],
    everything: bool,
    consumer: str | None,
    event_type: str | None,
    reason: str | None,
    person: str,
    data: Path | None,
    url: str,
) -> None:
    """Try NUMBERS again, each for the consumer that failed and no other; or --all that wait."""
    which = {"consumer": consumer, "type": event_type, "reason": reason}
    _do("replay", "is being tried again", numbers, everything, which, client_of(data, url), person)


@dead.command("drop")
@_many
@click.option("--yes", is_flag=True, help="Do not ask.")
def dead_drop(
    numbers: tuple[int, ...],
    everything: bool,
    consumer: str | None,
    event_type: str | None,
    reason: str | None,
    person: str,
    data: Path | None,
    url: str,
    yes: bool,
) -> None:
    """Give NUMBERS up: they stay on record, and are waited for no longer; or --all that wait and match a filter."""
    client = client_of(data, url)
    if not yes:
        what = "all that match" if everything else ", ".join(map(str, numbers)) or "nothing"
        click.confirm(f"Give up {what}? Their effect will never come.", abort=True)
    which = {"consumer": consumer, "type": event_type, "reason": reason}
    _do("drop", "is given up", numbers, everything, which, client, person)


def _do(
    verb: str,
    said: str,
    numbers: tuple[int, ...],
    everything: bool,
    which: dict[str, str | None],
    client: Any,
    person: str,
) -> None:
    if everything == bool(numbers):
        raise click.UsageError("give numbers, or --all with filters")
    if numbers:
        if any(which.values()):
            raise click.UsageError("filters go with --all")
        for seq in numbers:
            client.post(f"/api/dead/{seq}/{verb}", **_by(person))
            click.echo(f"{seq} {said}.")
        return
    result: dict[str, Any] = client.post(f"/api/dead/{verb}", which, **_by(person))
    for seq in result["done"]:
        click.echo(f"{seq} {said}.")
    for seq, why in result["failed"].items():
        click.echo(f"{seq} stays: {why}", err=True)
    if result["left"]:
        click.echo(f"{result['left']} more match: run it again.")
    if not result["done"] and not result["failed"]:
        click.echo("No dead letters.")
    if result["failed"]:
        raise SystemExit(1)
