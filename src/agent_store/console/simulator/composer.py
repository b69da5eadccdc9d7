"""Where a customer writes: the box, what is answered or changed, files and the microphone."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

from nicegui import events, ui

from agent_store.agents.whatsapp.phone import Bubble
from agent_store.console.simulator import icons
from agent_store.console.simulator.bubbles import snippet
from agent_store.console.simulator.sheets import Attachment
from agent_store.console.simulator.words import escaped

MOST = 100 * 1024 * 1024
"""Bytes of a file: what WhatsApp lets a document have."""
_PREVIEW = 4 * 1024 * 1024


def form(key: str) -> str:
    """`key` is the chat's: what was typed and not sent stays there for as long as the page is open."""
    return (
        f"<form id='sim-composer' class='sim-write' data-do='say' data-draft='{escaped(key)}'><div class='bar'>"
        f"<button type='button' class='sim-tool' data-do='attach' aria-label='Attach' title='Attach' aria-haspopup='dialog'>{icons.PLUS}</button>"
        "<textarea name='text' rows='1' maxlength='4096' placeholder='Message' aria-label='Message' enterkeyhint='send'></textarea>"
        "<div class='rec'><button type='button' class='sim-tool' data-local='discard' aria-label='Throw the recording away'>"
        f"{icons.BIN}</button><i></i><span class='recorded' role='timer'>0:00</span><em>Recording…</em></div></div>"
        f"<button type='button' class='sim-send mic' data-local='record' aria-label='Record a voice note' title='Record a voice note'>{icons.MIC}</button>"
        f"<button type='button' class='sim-send keep' data-local='keep' aria-label='Send the voice note'>{icons.SEND}</button>"
        f"<button class='sim-send go' aria-label='Send' title='Send'>{icons.SEND}</button></form>"
    )


def answering(bubble: Bubble | None, whom: str, *, editing: bool) -> str:
    """The strip above the box: which message is answered or changed."""
    if bubble is None:
        return ""
    title = "Edit message" if editing else "You" if bubble.mine else whom
    return (
        f"<div class='sim-answering{' own' if bubble.mine else ''}'>{icons.PENCIL if editing else icons.REPLY}<span><b>{escaped(title)}</b>"
        f"<em>{escaped(snippet(bubble)[:120])}</em></span><button type='button' class='sim-tool' data-do='unquote' "
        f"aria-label='{'Do not edit' if editing else 'Do not reply'}'>{icons.CLOSE}</button></div>"
    )


def attached(name: str, mime_type: str, content: bytes) -> Attachment:
    preview = ""
    if mime_type in ("image/png", "image/jpeg", "image/webp", "image/gif") and len(content) <= _PREVIEW:
        preview = f"data:{mime_type};base64,{base64.b64encode(content).decode()}"
    return Attachment(name, mime_type, content, preview)


def uploads(take: Callable[[str, Attachment], Awaitable[None]], refuse: Callable[[str], None]) -> None:
    """Hidden uploaders, one for each use of a file: "file" is shown before it is sent, "voice" and "sticker" go at once."""

    def one(use: str) -> None:
        async def receive(event: events.UploadEventArguments) -> None:
            file = event.file
            await take(use, attached(file.name, file.content_type, await file.read()))

        found = ui.upload(on_upload=receive, auto_upload=True, max_file_size=MOST, multiple=use == "file")
        found.on_rejected(lambda: refuse("That file is too large: WhatsApp takes at most 100 MB"))
        found.props(f"data-uploader={use}").style("display:none")

    for use in ("file", "voice", "sticker"):
        one(use)
    ui.element("input").props("type=file id=sim-files aria-hidden=true tabindex=-1").style("display:none")
