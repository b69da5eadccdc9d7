"""Pictures go out as ids of uploads: each is uploaded once a number, and known by its content for as long as the platform keeps it.

Source: WhatsApp Business Cloud API, "Media" (an uploaded file is kept for 30 days; its id is the number's own).
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, cast

from pydantic import BaseModel, ConfigDict

from agent_store.agents.whatsapp import pictures
from agent_store.agents.whatsapp.outbound import Payload
from agent_store.agents.whatsapp.ports import (
    MediaApi,
    MediaRefused,
    MediaSlots,
    Pictures,
    WhatsAppSettings,
)
from agent_store.agents.whatsapp.repository import Uploads
from agent_store.kernel.context import Context
from agent_store.kernel.errors import NotFound, PermanentError, TemporaryError
from agent_store.kernel.metrics import Metrics

GOOD_FOR = timedelta(days=28)
"""The platform keeps an upload for 30 days; two are left for what is on its way."""
MOST_FETCHED = 20 * 1024 * 1024
"""Bytes of a picture that is made smaller before it goes out."""
_INVALID_VALUE = 131009
_INVALID = 100
_ATTACHMENT = "media attachment id"
"""What the platform calls an upload, when it says that the id of a picture is none (any more)."""


class Picture(BaseModel):
    """What became of one picture. Neither an id nor unfit: it goes out as its link."""

    model_config = ConfigDict(frozen=True)

    media_id: str | None = None
    source: str = ""
    fresh: bool = False
    """Uploaded just now."""
    unfit: bool = False
    """WhatsApp would not take it."""


async def with_media(ctx: Context, phone_number_id: str, payload: Payload, *, again: int = 0) -> Payload:
    """The payload with ids of uploads in place of links, for a `@process` before its send step. Unchanged when uploads are off.

    A picture that WhatsApp would not take is left out, and what was said with it goes out as text. `again` numbers
    further calls in the same process (see `forget`). Raises TemporaryError when the platform takes no upload now.
    """
    settings = ctx.use(WhatsAppSettings).media
    if not settings.uploads or not any(_images(payload)):
        return payload
    own = ctx.use(WhatsAppSettings).public_url.rstrip("/") + "/"
    payload = copy.deepcopy(payload)
    for place, image in enumerate(_images(payload)):
        link: str = image["link"]
        if not (settings.every_link or link.startswith(own)):
            continue
        name = f"picture {again}.{place}"
        found = await ctx.step(name, lambda link=link: _uploaded(ctx, phone_number_id, link), Picture)
        if found.media_id is None:
            if found.unfit:
                payload = _without(payload, image)
            continue
        if found.fresh:
            await ctx.write(f"{name} kept", lambda tx, found=found: _keep(tx, phone_number_id, found))
        del image["link"]
        image["id"] = found.media_id
    return payload


def forgotten(payload: Mapping[str, Any], code: int | None, reason: str) -> bool:
    """Was the message refused because the platform no longer has a picture that was uploaded? Then `forget` it, and ask
    `with_media(…, again=1)`, once."""
    blamed = code == _INVALID_VALUE or (code == _INVALID and _ATTACHMENT in reason.lower())
    return blamed and bool(_ids(payload))


async def forget(tx: Context, phone_number_id: str, payload: Mapping[str, Any]) -> None:
    """In a transaction: the ids of this payload are good for nothing any more."""
    for media_id in _ids(payload):
        await tx.get(Uploads).drop(phone_number_id, media_id)


async def tidy(ctx: Context) -> None:
    await ctx.get(Uploads).drop_expired(ctx.now())


async def _keep(tx: Context, phone_number_id: str, found: Picture) -> None:
    assert found.media_id is not None  # noqa: S101 (only one with an id is kept)
    await tx.get(Uploads).put(phone_number_id, found.source, found.media_id, tx.now() + GOOD_FOR)


async def _uploaded(ctx: Context, phone_number_id: str, link: str) -> Picture:
    async with ctx.use(MediaSlots):
        try:
            content, mime_type = await _fit(ctx.use(Pictures), link)
        except (NotFound, MediaRefused) as error:
            ctx.log.warning("whatsapp.picture.unfit", reason=error.message)
            ctx.use(Metrics).count("whatsapp_pictures_unfit")
            return Picture(unfit=True)
        except TemporaryError as error:
            ctx.log.warning("whatsapp.picture.unread", reason=error.message)
            return Picture()
        ending = mime_type.rpartition("/")[2]
        source = f"{hashlib.sha256(content).hexdigest()}.{ending}"
        known = await ctx.get(Uploads).get(phone_number_id, source, ctx.now())
        if known is not None:
            return Picture(media_id=known, source=source)
        try:
            media_id = await ctx.use(MediaApi).upload(phone_number_id, content, mime_type, f"picture.{ending}")
        except PermanentError as error:
            ctx.log.error("whatsapp.upload.refused", phone_number_id=phone_number_id, reason=error.message)
            ctx.use(Metrics).count("whatsapp_uploads", outcome="refused")
            return Picture()
    ctx.use(Metrics).count("whatsapp_uploads", outcome="ok")
    return Picture(media_id=media_id, source=source, fresh=True)


async def _fit(port: Pictures, link: str) -> tuple[bytes, str]:
    """A picture in the form that WhatsApp takes. Raises MediaRefused when there is none."""
    content = await port.fetch(link, MOST_FETCHED)
    seen = pictures.look(content)
    if seen is None:
        raise MediaRefused("forbidden_type", "WhatsApp takes JPEG and PNG pictures; this is neither, nor GIF or WebP")
    if pictures.goes_out(seen, len(content)):
        return content, seen.mime_type
    if seen.too_many_pixels:
        raise MediaRefused(
            "too_large", f"a picture of {seen.width} × {seen.height} pixels is too large to be made smaller"
        )
    for longest in (pictures.LONGEST_SIDE, 1024, 640):
        drawn = await port.as_png(content, seen.mime_type, *pictures.smaller(seen, longest))
        if len(drawn) <= pictures.MOST_BYTES:
            return drawn, "image/png"
    raise MediaRefused("too_large", f"the picture is over {pictures.MOST_BYTES} bytes in every size")


def _images(node: Any) -> Iterator[dict[str, Any]]:
    """Every `image` object with a link, wherever in a payload."""
    if isinstance(node, list):
        for item in cast("list[Any]", node):
            yield from _images(item)
    elif isinstance(node, dict):
        for name, value in cast("dict[str, Any]", node).items():
            if (
                name == "image"
                and isinstance(value, dict)
                and isinstance(cast("dict[str, Any]", value).get("link"), str)
            ):
                yield cast("dict[str, Any]", value)
            else:
                yield from _images(value)


def _ids(node: Any) -> list[str]:
    """The ids of every `image` object."""
    if isinstance(node, list):
        return [id for item in cast("list[Any]", node) for id in _ids(item)]
    if not isinstance(node, dict):
        return []
    found: list[str] = []
    for name, value in cast("dict[str, Any]", node).items():
        media_id: Any = cast("dict[str, Any]", value).get("id") if isinstance(value, dict) else None
        found += [media_id] if name == "image" and isinstance(media_id, str) else _ids(value)
    return found


def _without(payload: Payload, image: dict[str, Any]) -> Payload:
    """The message in words. A template cannot do without its picture, and one without a caption says nothing else."""
    if payload.get("image") is image and image.get("caption"):
        text = {"type": "text", "text": {"body": image["caption"]}}
        return {**{name: value for name, value in payload.items() if name not in ("type", "image")}, **text}
    interactive: Any = payload.get("interactive")
    if isinstance(interactive, dict):
        rest = {name: value for name, value in cast("dict[str, Any]", interactive).items() if name != "header"}
        return {**payload, "interactive": rest}
    return payload
