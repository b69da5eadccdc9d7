"""A part of what is held in memory, as a player asks for it: Safari plays no sound or video from a server without this.

Source: RFC 9110, section 14. One range in bytes is answered; several, another unit, what cannot be read and what depends on
a validator (`If-Range`; there is none) get the whole, as the standard lets a server do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fastapi import Request, Response

_ONE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def whole_or_part(request: Request, content: bytes, *, media_type: str, headers: Mapping[str, str]) -> Response:
    """200 with everything, 206 with the range asked for, or 416 when it begins behind the end."""
    size, told = len(content), {**headers, "Accept-Ranges": "bytes"}
    asked = _ONE.fullmatch(request.headers.get("range", "").strip().lower())
    if asked is None or asked.group() == "bytes=-" or "if-range" in request.headers:
        return Response(content, media_type=media_type, headers=told)
    first, last = asked.groups()
    if first:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
        if last and int(last) < int(first):
            return Response(content, media_type=media_type, headers=told)
    else:
        start, end = max(0, size - int(last)), size - 1
    if start >= size:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"})
    told["Content-Range"] = f"bytes {start}-{end}/{size}"
    return Response(content[start : end + 1], 206, media_type=media_type, headers=told)
