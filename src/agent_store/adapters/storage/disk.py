"""A folder as a store of media: one file a key, written beside its place and then put there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import tempfile
from pathlib import Path

from agent_store.kernel.errors import InvalidInput, NotFound, TemporaryError

_KEY = re.compile(r"[a-z0-9]{8,128}")


class DiskStore:
    """`agents.whatsapp.ports.MediaStore`. Only this system's user reads the files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, key: str, content: bytes, mime_type: str) -> None:
        await asyncio.to_thread(self._write, self._place(key), content)

    async def open(self, key: str) -> bytes:
        place = self._place(key)
        try:
            return await asyncio.to_thread(place.read_bytes)
        except FileNotFoundError:
            raise NotFound("there is nothing under this key") from None
        except OSError as error:
            raise _away(error) from error

    async def delete(self, key: str) -> None:
        place = self._place(key)
        try:
            await asyncio.to_thread(place.unlink, missing_ok=True)
        except OSError as error:
            raise _away(error) from error

    def _place(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise InvalidInput("a key is made of lower-case letters and digits")
        return self._folder / key[:2] / key

    @staticmethod
    def _write(place: Path, content: bytes) -> None:
        """After a crash there is the whole file or none; what is left over begins with a dot."""
        unfinished = ""
        try:
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, unfinished = tempfile.mkstemp(prefix=".new-", dir=place.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(unfinished).replace(place)
            _sync(place.parent)
        except OSError as error:
            if unfinished:
                with contextlib.suppress(OSError):
                    Path(unfinished).unlink()
            raise _away(error) from error


def _sync(folder: Path) -> None:
    """A file's new name outlives a loss of power when its folder has been written."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _away(error: OSError) -> TemporaryError:
    return TemporaryError(f"the folder of media does not work: {error.strerror}", code="unavailable")
