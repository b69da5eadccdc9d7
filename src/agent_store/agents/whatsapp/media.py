"""A customer's medium: fetched, kept, understood, and told exactly once, whatever becomes of it.

Nothing of what it holds goes through the journal: a step's result names where the content is kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from datetime import timedelta
from itertools import count

from pydantic import BaseModel, ConfigDict

from agent_store.agents.whatsapp.ports import (
    MediaApi,
    MediaRefused,
    MediaSlots,
    MediaStore,
    Senses,
    WhatsAppSettings,
)
from agent_store.agents.whatsapp.repository import Media, Medium
from agent_store.agents.whatsapp.sniffing import PICTURES, SOUNDS, fits, mime_of
from agent_store.contracts.brands import Directory
from agent_store.contracts.common import Language
from agent_store.contracts.whatsapp import (
    KeptMedium,
    MediaProblem,
    WhatsAppMediaDrop,
    WhatsAppMediaDue,
    WhatsAppMediaReceived,
)
from agent_store.kernel.context import Context
from agent_store.kernel.errors import NotFound, PermanentError, StoreError, TemporaryError
from agent_store.kernel.metrics import Metrics
from agent_store.kernel.privacy import redact_cards

MOST_TRIES = 14
"""Of a download while the platform is away: with the pauses between them about 20 minutes."""
BAD_TRIES = 4
"""Of a download that fails by itself: it is slow, breaks off, or does not have the hash that was told."""
OVERDUE = timedelta(hours=2)
"""What has not ended by then has lost its process for good; it is told as failed."""
AT_ONCE = 200
"""Rows that one tick takes."""
LONGEST_WORDS = 4000
KEY = re.compile(r"[0-9a-f]{64}")


class Found(BaseModel):
    """How one try to fetch a medium ended: kept under `key`, refused for good, or to be tried again."""

    model_config = ConfigDict(frozen=True)

    key: str = ""
    mime_type: str = ""
    sha256: str = ""
    bytes: int = 0
    problem: MediaProblem | None = None
    """Of one that is to be tried again: what it is when that does not help."""
    again: bool = False
    away: bool = False
    """That says nothing of the medium: the platform, or where media are kept, is not there now."""
    reason: str = ""
    retry_after: float | None = None
    """Seconds."""


class Understood(BaseModel):
    model_config = ConfigDict(frozen=True)

    words: str | None = None
    seen: str | None = None


async def receive(ctx: Context, due: WhatsAppMediaDue) -> None:
    if not await ctx.write("begin", lambda tx: tx.get(Media).begin(due, tx.now()), bool):
        return  # the same medium came in another event before
    found = await _fetched(ctx, due)
    understood = Understood()
    if found.problem is None and not await ctx.write("keep", lambda tx: _keep(tx, due, found), bool):
        found = Found(problem="gone", reason="the message was taken back")
    if found.problem is None:
        understood = await ctx.step("understand", lambda: _understand(ctx, due, found), Understood)
    ctx.at_end(lambda tx: _tell(tx, due, found, understood))


async def _fetched(ctx: Context, due: WhatsAppMediaDue) -> Found:
    """Try until it is had, refused, or out of patience. How often it was tried stands in the journal."""
    bad = 0
    for attempt in count(1):
        asked_here = False

        async def ask() -> Found:
            nonlocal asked_here
            asked_here = True
            return await _fetch(ctx, due)

        found = await ctx.step(f"fetch {attempt}", ask, Found)
        if not found.again:
            return found
        bad += not found.away
        if attempt >= MOST_TRIES or bad >= BAD_TRIES:
            return Found(problem=found.problem, reason=found.reason)
        if asked_here:
            wait = None if found.retry_after is None else timedelta(seconds=found.retry_after)
            raise TemporaryError(found.reason, retry_after=wait)
    raise AssertionError("counting does not end")


async def _fetch(ctx: Context, due: WhatsAppMediaDue) -> Found:
    """One try. The content is kept before its key is journaled; kept twice, it is the same under the same key."""
    settings = ctx.use(WhatsAppSettings).media
    async with ctx.use(MediaSlots):
        try:
            content = await ctx.use(MediaApi).download(due.media.id, settings.limit(due.kind))
            if not content:
                raise MediaRefused("unreadable", "the file is empty")
            mime_type, sha256 = await asyncio.to_thread(lambda: (mime_of(content), hashlib.sha256(content).hexdigest()))
            if mime_type is None or not fits(due.kind, mime_type):
                raise MediaRefused("forbidden_type", f"{due.kind} of type {mime_type or 'unknown'}")
            key = key_of(due.wamid)
            await ctx.use(MediaStore).put(key, content, mime_type)
        except MediaRefused as error:
            return Found(problem=error.problem, reason=error.message)
        except TemporaryError as error:
            seconds = None if error.retry_after is None else error.retry_after.total_seconds()
            in_the_end: MediaProblem = "unreadable" if error.details.get("problem") == "unreadable" else "failed"
            return Found(again=True, away=error.away, problem=in_the_end, reason=error.message, retry_after=seconds)
        except PermanentError as error:
            return Found(problem="failed", reason=error.message)
    return Found(key=key, mime_type=mime_type, sha256=sha256, bytes=len(content))


def key_of(wamid: str) -> str:
    """Each message has a key of its own, the same in every try, so that nothing is ever kept under a key nobody knows."""
    return hashlib.sha256(f"whatsapp/{wamid}".encode()).hexdigest()


async def _keep(tx: Context, due: WhatsAppMediaDue, found: Found) -> bool:
    media = tx.get(Media)
    if await media.is_taken_back(due.wamid):
        await media.delete(due.wamid)
    elif await media.keep(
        due.wamid,
        key=found.key,
        mime_type=found.mime_type,
        sha256=found.sha256,
        bytes=found.bytes,
        until=tx.now() + tx.use(WhatsAppSettings).media.keep,
    ):
        return True
    tx.emit(WhatsAppMediaDrop(wamid=due.wamid, key=found.key))
    return False


async def _understand(ctx: Context, due: WhatsAppMediaDue, found: Found) -> Understood:
    """Whoever listens or looks may fail: the message is as good as one to which nobody listened."""
    senses = ctx.use(Senses)
    hears = due.kind == "audio" and found.mime_type in SOUNDS and senses.transcriber is not None
    looks = due.kind == "image" and found.mime_type in PICTURES and senses.vision is not None
    if not hears and not looks:
        return Understood()
    sense = "transcriber" if hears else "vision"
    try:
        async with ctx.use(MediaSlots):
            content = await ctx.use(MediaStore).open(found.key)
            if hears and senses.transcriber is not None:
                words = await senses.transcriber.transcribe(content, found.mime_type, None)
                understood = Understood(words=_said(words))
            elif senses.vision is not None:
                seen = await senses.vision.describe(content, found.mime_type, language_of(due.sender))
                understood = Understood(seen=_said(seen))
            else:
                understood = Understood()
    except StoreError as error:
        ctx.log.warning("whatsapp.media.not_understood", sense=sense, wamid=due.wamid, reason=error.message)
        ctx.use(Metrics).count("whatsapp_media_understood", sense=sense, outcome=error.code)
        return Understood()
    ctx.use(Metrics).count("whatsapp_media_understood", sense=sense, outcome="ok")
    return understood


def _said(words: str) -> str:
    """Cut after the numbers are taken out: half of one would not be known as such."""
    return redact_cards(words.replace("\x00", "").strip()[: 4 * LONGEST_WORDS])[:LONGEST_WORDS]


_SPANISH = ("34", "51", "52", "53", "54", "56", "57", "58", "502", "503", "504", "505", "506", "507", "591", "593",
            "595", "598")  # fmt: skip
_PORTUGUESE = ("55", "351", "238", "239", "244", "245", "258")


def language_of(sender: str) -> Language:
    """What is mostly spoken where a phone number is from; of who has none, the shop's own language."""
    if not sender.isdecimal() or sender.startswith(_PORTUGUESE):
        return "pt"
    return "es" if sender.startswith(_SPANISH) else "en"


async def _tell(tx: Context, due: WhatsAppMediaDue, found: Found, understood: Understood) -> None:
    media = tx.get(Media)
    if found.problem is not None:
        await media.refuse(due.wamid, found.problem)
    row = await media.get(due.wamid)
    if row is None:
        return
    if found.problem is None and row.state != "kept":  # taken back while it was looked at
        found, understood = Found(problem="gone"), Understood()
    if found.problem is not None:
        tx.log.warning(
            "whatsapp.media.refused", wamid=due.wamid, kind=due.kind, problem=found.problem, reason=found.reason
        )
    await _tell_once(
        tx,
        row,
        WhatsAppMediaReceived(
            wamid=due.wamid,
            phone_number_id=due.phone_number_id,
            sender=due.sender,
            kind=due.kind,
            key=found.key,
            mime_type=found.mime_type,
            sha256=found.sha256,
            bytes=found.bytes,
            words=understood.words,
            seen=understood.seen,
            problem=found.problem,
            expires_at=row.expires_at if found.problem is None else None,
        ),
    )


async def _tell_once(tx: Context, row: Medium, told: WhatsAppMediaReceived) -> None:
    if not await tx.get(Media).end(row.wamid, tx.now()):
        return
    tx.use(Metrics).count("whatsapp_media", kind=row.kind, outcome=told.problem or "kept")
    brand = tx.use(Directory).by_number(row.phone_number_id)
    tx.emit(told, brand=None if brand is None else brand.id, channel="whatsapp")


# --- what goes -------------------------------------------------------------------------------------------------------


async def take_back(ctx: Context, wamid: str) -> None:
    """The customer deleted the message: its medium goes as well. One that is being fetched finds that out by itself."""
    media = ctx.get(Media)
    row = await media.get(wamid)
    if row is not None:
        await _delete(ctx, media, row)


async def expire(ctx: Context) -> None:
    media = ctx.get(Media)
    for row in await media.expired(ctx.now(), AT_ONCE):
        await _delete(ctx, media, row)


async def _delete(ctx: Context, media: Media, row: Medium) -> None:
    """From now on nobody is shown it; the content goes in a process of its own."""
    await media.delete(row.wamid)
    if row.state == "kept" and row.key is not None:
        ctx.emit(WhatsAppMediaDrop(wamid=row.wamid, key=row.key))


async def drop(ctx: Context, command: WhatsAppMediaDrop) -> None:
    async def delete() -> None:
        await ctx.use(MediaStore).delete(command.key)

    await ctx.step("delete", delete)


async def tell_overdue(ctx: Context) -> None:
    """Media whose process is gone for good (a dead letter): nobody waits for them for ever."""
    media = ctx.get(Media)
    for row, sender in await media.untold(ctx.now() - OVERDUE, AT_ONCE):
        ctx.log.error("whatsapp.media.overdue", wamid=row.wamid, kind=row.kind, state=row.state)
        kept = row.state == "kept"
        if row.state == "waiting":
            await media.refuse(row.wamid, "failed")
            ctx.emit(WhatsAppMediaDrop(wamid=row.wamid, key=key_of(row.wamid)))
        await _tell_once(
            ctx,
            row,
            WhatsAppMediaReceived(
                wamid=row.wamid,
                phone_number_id=row.phone_number_id,
                sender=sender,
                kind=row.kind,
                key=row.key or "" if kept else "",
                mime_type=row.mime_type or "" if kept else "",
                sha256=row.sha256 or "" if kept else "",
                bytes=row.bytes or 0 if kept else 0,
                problem=None if kept else "gone" if row.state == "deleted" else "failed",
                expires_at=row.expires_at if kept else None,
            ),
        )


async def find(ctx: Context, key: str) -> KeptMedium:
    row = await ctx.get(Media).by_key(key, ctx.now()) if KEY.fullmatch(key) else None
    if row is None or row.mime_type is None or row.expires_at is None:
        raise NotFound("there is nothing under this key, or it has expired")
    return KeptMedium(key=key, mime_type=row.mime_type, filename=row.filename, expires_at=row.expires_at)
