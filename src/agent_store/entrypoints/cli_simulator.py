"""`agent-store simulator`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--webhook", required=True, metavar="URL", help="Your bot's webhook: GET is the handshake, POST a delivery."
)
@click.option(
    "--app-secret", required=True, envvar="SIMULATOR_APP_SECRET", help="Signs the webhooks. [SIMULATOR_APP_SECRET]"
)
@click.option(
    "--verify-token", required=True, envvar="SIMULATOR_VERIFY_TOKEN", help="Of the handshake. [SIMULATOR_VERIFY_TOKEN]"
)
@click.option(
    "--access-token",
    default="simulator",
    show_default=True,
    envvar="SIMULATOR_ACCESS_TOKEN",
    help="With which your bot calls the Graph side. [SIMULATOR_ACCESS_TOKEN]",
)
@click.option(
    "--token", default="", envvar="SIMULATOR_TOKEN", help="Of the REST API and the page (made up). [SIMULATOR_TOKEN]"
)
@click.option(
    "--number",
    "numbers",
    multiple=True,
    default=("1001:My bot:+55 11 3000-1001",),
    show_default=True,
    metavar="ID:NAME:PHONE:CATALOG",
    help="A phone number id of your bot; from NAME on optional. Repeatable.",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8090, show_default=True)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var-simulator"),
    show_default=True,
    help="Chats, files and what is not delivered yet.",
)
def simulator(
    webhook: str,
    app_secret: str,
    verify_token: str,
    access_token: str,
    token: str,
    numbers: tuple[str, ...],
    host: str,
    port: int,
    data: Path,
) -> None:
    """Simulate WhatsApp's Cloud API for a bot of your own: phones on a page and over REST, signed webhooks, a Graph URL.

    No store runs here. Point your bot's Graph base URL at /simulator/graph of this process. See docs/simulator.md.
    """
    from agent_store.entrypoints.simulator import Options, number_of, run

    run(
        Options(
            webhook=webhook, app_secret=app_secret, verify_token=verify_token, access_token=access_token,
            staff_token=token, numbers=[number_of(one) for one in numbers], host=host, port=port, data=data,
        )
    )  # fmt: skip
