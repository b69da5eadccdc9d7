"""A file that others change while the store runs, read anew when it has changed, and never worse than before."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from agent_store.kernel.errors import InvalidInput

T = TypeVar("T")
Mark = tuple[int, int, int, int]

_log = structlog.get_logger("agent_store.files")


class LiveFile(Generic[T]):
    """What a file says now. A look costs one `stat` (a microsecond or two), and a reading when it has changed.

    A changed file that is broken, or gone, leaves the last good one in force: said once a change in the log, and to `bad`.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        parse: Callable[[str, str], T],
        *,
        name: str,
        bad: Callable[[], None],
        absent: T | None = None,
    ) -> None:
        """`paths`: the first of them that is there is read. `parse(text, its name)` raises InvalidInput for what is broken.

        `absent` holds until there is a file; without it an absent one raises InvalidInput now, as a broken one does.
        """
        self._paths = tuple(paths)
        self._parse = parse
        self._name = name
        self._bad = bad
        self.version = 0
        """Grows with every good reading."""
        self._seen = self._mark()
        self._value: T
        if absent is not None and self._seen is None:
            self._value = absent
        else:
            self._take(self._read())

    @property
    def known(self) -> bool:
        """There has been a good file."""
        self.look()
        return self.version > 0

    def look(self) -> T:
        mark = self._mark()
        if mark == self._seen:
            return self._value
        self._seen = mark
        try:
            value = self._read()
        except InvalidInput as error:
            self._bad()
            _log.error(f"{self._name}.file_bad", file=str(self.path), reason=error.message, kept=self.version > 0)
            return self._value
        self._take(value)
        _log.info(f"{self._name}.read", file=str(self.path))
        return value

    @property
    def path(self) -> Path:
        """The one that is read now."""
        return next((path for path in self._paths if path.exists()), self._paths[-1])

    def parse(self, text: str, path: Path) -> T:
        return self._parse(text, str(path))

    def _take(self, value: T) -> None:
        self._value = value
        self.version += 1

    def _put(self, value: T) -> None:
        """The files were changed by this process, which knows what they say."""
        self._seen = self._mark()
        self._take(value)

    def _mark(self) -> Mark | None:
        """What changes when the file does: a ConfigMap is swapped by a link, so the inode counts too. None: it is gone."""
        for number, path in enumerate(self._paths):
            try:
                status = os.stat(path)
            except OSError:
                continue
            return number, status.st_mtime_ns, status.st_size, status.st_ino
        return None

    def _read(self) -> T:
        path = self.path
        return self.parse(read_text(path), path)


def read_text(path: Path) -> str:
    """Raises InvalidInput."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: cannot be read: {error}") from error
